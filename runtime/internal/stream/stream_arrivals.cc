// What a Stream does otherwise where the ring of its poll thread receives. Its completions are told
// as the event "readable". What has arrived is in the buffers of the ring, which the callback gets.
//
// The socket is in the event queue only where a receive would not tell: while it is full, and for a
// reset where no receive is armed, or where bytes wait before it.

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "epore/poll/engine/completion_queue.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"

namespace epore::internal {
namespace {

constexpr int kReadBudget = 16;  // as in stream_run.cc

// Before a close: so many bytes as a run reads from a socket.
constexpr int kLastBudget = 128;

}  // namespace

void Stream::begin_receives() {
  // A connector has waited for the socket by a poll, with a token of its own.
  if (is_in_queue_already_) (void)home().registry()->deregister_fd(fd_.get());
  is_in_queue_already_ = false;
  receives().add(token(), fd_.get());
  is_registered_ = true;
  if (is_write_blocked_) watch_socket();  // the first callback has filled it
}

void Stream::end_receives() {
  if (has_tasks_) keep_view();
  receives().remove(token(), std::move(fd_));
}

// As read(). Each buffer is a receive of its own, so the budget is smaller in bytes.
void Stream::read_arrived() {
  if (!is_registered_) return;
  if (has_tasks_) keep_view();  // a coroutine may have it in its hand
  // A request may be in the socket whose event was not reported yet. It is answered before the
  // close.
  bool looks_once_more = closes_after_read_;
  bool is_told_all = true;
  for (int left = looks_once_more ? kLastBudget : kReadBudget;
       left > 0 && (looks_once_more || edges_.is_ready(Direction::read)) && wants_read(); --left) {
    if (queued_here() > limits_->write_high_mark && hold_reading()) break;
    const std::uint32_t mark = edges_.mark(Direction::read);
    const bool looks = looks_once_more && !receives().has_news(token());
    const Arrival arrival = looks ? look_at_socket() : receives().next(token());
    is_told_all = !looks || arrival.error != EINTR;
    if (!is_told_all) break;
    if (arrival.is_last) edges_.use_up(Direction::read, mark);
    if (looks && arrival.is_last) looks_once_more = false;
    if (!arrival.bytes.empty()) {
      moved_ |= kReceived;
      core_->counters().add(Counter::bytes_in, arrival.bytes.size());
      if (phase_ == Phase::open) [[likely]] {
        if (!core_->is_cut_off()) [[likely]]
          call_inline(on_data_, std::span<const std::byte>(arrival.bytes));
      } else {
        discarded(arrival.bytes.size());
      }
    } else if (arrival.error == 0) {
      read_closed_ = true;
      if (phase_ == Phase::open) tell_read_closed();
    } else if (arrival.error != EAGAIN) {
      fail_call("recv", arrival.error);
    }
  }
  if (!is_told_all && phase_ == Phase::open && wants_read()) {
    closes_after_read_ = false;  // the next run looks again
    mail([](Stream& stream) { stream.closes_after_read_ = true; });
  }
  leave_arrived();
  if (edges_.is_ready(Direction::read) && leaves_bytes()) look_for_end();
}

// Receives from the socket itself, behind everything that has arrived. EINTR: more may have arrived
// than was told.
Arrival Stream::look_at_socket() {
  Arrival arrival;
  receives().release(token());
  if (!receives().has_all()) {
    arrival.error = EINTR;
    return arrival;
  }
  const std::span<std::byte> buffer = this_thread.buffers->read.window();
  const SysResult result = receive(buffer);
  if (result.value() > 0) arrival.bytes = buffer.first(static_cast<std::size_t>(result.value()));
  arrival.error = result.error();
  arrival.is_last =
      result.value() > 0 ? arrival.bytes.size() < buffer.size() : result.error() == EAGAIN;
  return arrival;
}

// As receive_for().
bool Stream::receive_arrived(ReadOperationBase& reader) {
  ReadBuffer& buffer = this_thread.buffers->read;
  if (buffer.lent_to == this) buffer.lent_to = nullptr;  // its bytes are moved below
  buffer.keep_lent();
  if (!inflow_) inflow_ = std::make_unique<Inflow>();
  // What has arrived before may be in a buffer that goes back now.
  if (!inflow_->empty()) (void)inflow_->room(room_for(reader));
  --receives_left_;
  const std::uint32_t mark = edges_.mark(Direction::read);
  const bool looks = is_draining_ && !receives().has_news(token());
  const Arrival arrival = looks ? look_at_socket() : receives().next(token());
  if (arrival.is_last) edges_.use_up(Direction::read, mark);
  const bool has_looked = looks || !is_draining_;
  if (arrival.bytes.empty()) {
    const SysResult result =
        arrival.error == 0 ? SysResult(0) : SysResult::from_errno(arrival.error);
    return not_received(result, "recv", mark) && has_looked;
  }
  note_received(arrival.bytes.size());
  if (!is_runner()) core_->wake(*this);  // its run gives the buffer back
  if (inflow_->empty()) {
    inflow_->set_window(arrival.bytes);
    buffer.lent_to = this;
    return has_looked;
  }
  try {
    inflow_->append(arrival.bytes);
  } catch (const std::bad_alloc&) {
    no_memory();  // the bytes are lost
    throw;
  }
  return has_looked;
}

// At the end of a run: no buffer of the ring is needed, also where nobody takes what has arrived.
void Stream::leave_arrived() {
  if (!is_registered_) return;
  receives().release(token());
  if (is_ending() || wants_read() || !receives().has_bytes(token())) return;
  receives().hold(token());
  watch_socket();
}

void Stream::look_for_arrived_end() {
  const std::uint32_t mark = edges_.mark(Direction::read);
  if (!receives().has_news(token())) {
    take_hang_up();
    edges_.use_up(Direction::read, mark);
  } else if (receives().has_bytes(token()) || receives().error(token()) != 0) {
    take_hang_up();
  } else {
    read_closed_ = true;
    tell_read_closed();
  }
}

// At the end of a run of coroutines.
void Stream::leave_view() {
  keep_view();
  leave_arrived();
}

// The bytes that a coroutine has a view of, or leaves, stay where they are.
void Stream::keep_arrived() {
  if (!is_registered_ || !inflow_ || !inflow_->is_in_window()) return;
  BufferPool::Memory memory = receives().keep(token());
  if (memory.bytes != nullptr) inflow_->keep(std::move(memory));
}

// Lets the event queue tell when the socket has room, and of a hang-up.
void Stream::watch_socket() {
  if (is_in_queue_already_ || is_ending()) return;
  absl::Status watched = home().registry()->register_fd(fd_.get(), token(), Interest::writable());
  if (!watched.ok()) return fail(std::move(watched));
  is_in_queue_already_ = true;
}

}  // namespace epore::internal
