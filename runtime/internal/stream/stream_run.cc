// The run of a Stream: mail, reading, and rearming for engines without edges.

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"

namespace epore::internal {
namespace {

// The most reads of one run. Then other connections get their turn.
constexpr int kReadBudget = 16;

// A value of armed_directions_, beside the bits 1 (read) and 2 (write).
constexpr std::uint8_t kArmedForHangUp = 4;

// The most bytes that a lingering connection discards.
constexpr std::uint64_t kLingerBytes = 64 * 1024 * 1024;

}  // namespace

void Stream::run() {
  if (phase_ == Phase::closed) [[unlikely]] {
    core_->counters().add(Counter::stale_events);
    deliver_late_mail();
    return;
  }
  bool has_memory = true;
  try {
    run_once();
  } catch (const std::bad_alloc&) {
    has_memory = false;
  }
  if (has_memory) [[likely]]
    return;
  no_memory();
  if (phase_ != Phase::closed) finish();
}

inline void Stream::run_once() {
  if (!mailbox_.empty()) deliver_mail();
  if (abort_due_.load(std::memory_order_acquire) != 0) [[unlikely]]  // after its first callback
    abort_now();
  if (!is_registered_ && !is_ending()) register_fd();
  if (is_write_blocked_ && edges_.is_ready(Direction::write)) {
    is_write_blocked_ = false;
    stop_waiting_for_write();
  }
  read();
  if (closes_after_read_) {
    closes_after_read_ = false;
    begin_close(absl::OkStatus());
  }
  if (read_closed_) take_hang_up();
  flush();
  if (high_mark_.is_set() && tell_low_mark()) [[unlikely]] {
    flush_now();
    if (!is_write_blocked_) (void)word().wake();  // the next run looks at the low mark again
  }
  if (is_held_ && queued_bytes() <= low_mark()) is_held_ = false;
  if (has_tasks_) [[unlikely]] {
    if (first_writer() != nullptr) resume_writers();
    if (has_receives_) [[unlikely]]
      leave_view();
    else
      keep_window();
  }
  settle();
}

inline void Stream::settle() {
  const bool is_timed = has_timeout();
  if (is_timed && moved_ != 0) note_times();
  moved_ = 0;
  if (timeout_expired_.load(std::memory_order_relaxed) &&
      timeout_expired_.exchange(false, std::memory_order_acquire)) [[unlikely]] {
    check_timeouts();
  }
  if (phase_ == Phase::open && !write_shut_asked_ && !read_closed_) [[likely]] {
    if (!home().has_edges()) [[unlikely]]
      rearm();  // may call fail()
    if (!is_ending()) return go_on(is_timed);
  }
  settle_end();
}

void Stream::abort_now() {
  if ((abort_due_.load(std::memory_order_acquire) & kNoMemory) != 0)
    return reset(limits_->no_memory);
  reset(absl::CancelledError("the runtime shut down before the connection ended"));
}

// Delivers all mail that is there when it begins. Less would let a callback overtake older mail of
// its own thread. More would let threads that go on leaving mail keep this run from reading and
// writing.
void Stream::deliver_mail() { deliver(mailbox_.take()); }

void Stream::deliver(MailList list) {
  while (!list.empty()) list.pop()->deliver();
}

// Delivers the mail that is there. Mail that comes meanwhile has asked for another run.
void Stream::deliver_late_mail() {
  MailList list = mailbox_.take();
  while (!list.empty()) list.pop()->deliver_late();
}

void Stream::register_fd() {
  if (has_receives_) [[unlikely]]
    return begin_receives();
  is_registered_ = true;
  Interest interest = Interest::readable() | Interest::writable();
  if (!home().has_edges()) {
    interest = Interest::readable().one_shot();
    armed_directions_ = 1;
  }
  const std::shared_ptr<Registry>& registry = home().registry();
  absl::Status registered = is_in_queue_already_
                                ? registry->reregister_fd(fd_.get(), token(), interest)
                                : registry->register_fd(fd_.get(), token(), interest);
  if (registered.ok()) return;
  is_registered_ = is_in_queue_already_;
  fail(std::move(registered));
}

// Called above the high mark. Returns whether reading must stop for that. Writes gathered output
// first.
bool Stream::hold_reading() {
  if (phase_ != Phase::open || !limits_->pause_reading_above_high_mark) return false;
  flush_now();
  if (is_ending()) return true;
  if (queued_here() <= limits_->write_high_mark) return false;
  core_->counters().add(Counter::read_pauses);
  is_held_ = true;
  return true;
}

// Whether coroutines serve the connection, and end it. Those that only wait for its end do not.
bool Stream::is_of_coroutines() const {
  if (!has_tasks_) return false;
  return !is_of_closed_ || is_read_by_task_ || first_writer() != nullptr;
}

inline void Stream::read() {
  if (has_tasks_ && phase_ == Phase::open) [[unlikely]] {
    if (is_read_by_task_ || (!on_data_ && is_of_coroutines())) return pull();
  }
  if (has_receives_) [[unlikely]]
    return read_arrived();
  const std::span<std::byte> buffer = this_thread.buffers->read.window();
  // A request may have arrived whose event was not reported yet. It is answered before the close.
  bool looks_once_more = closes_after_read_;
  for (int left = kReadBudget;
       (looks_once_more || edges_.is_ready(Direction::read)) && wants_read(); --left) {
    if (left == 0) break;
    if (queued_here() > limits_->write_high_mark && hold_reading()) break;
    const std::uint32_t mark = edges_.mark(Direction::read);
    const SysResult result = receive(buffer);
    if (result.value() > 0) [[likely]] {
      const std::size_t count = static_cast<std::size_t>(result.value());
      // A short read means that the socket is drained, with few exceptions.
      const bool is_last = count < buffer.size() && !may_have_more();
      if (is_last) [[likely]] {
        edges_.use_up(Direction::read, mark);
        looks_once_more = false;
      }
      moved_ |= kReceived;
      core_->counters().add(Counter::bytes_in, count);
      if (phase_ == Phase::open) [[likely]] {
        if (!core_->is_cut_off()) [[likely]]
          call_inline(on_data_, std::span<const std::byte>(buffer.first(count)));
      } else {
        discarded(count);
      }
    } else if (result.ok()) {
      read_closed_ = true;
      if (phase_ == Phase::open) tell_read_closed();
    } else if (result.error() == EAGAIN) {
      edges_.use_up(Direction::read, mark);
      looks_once_more = false;
    } else if (result.error() != EINTR) {
      fail_call("recv", result.error());
    }
  }
  if (edges_.is_ready(Direction::read) && leaves_bytes()) [[unlikely]]
    look_for_end();
}

// Whether bytes are left to the kernel, but the peer's end is passed on if no bytes are before it.
bool Stream::leaves_bytes() const {
  return phase_ == Phase::open && !read_closed_ && !is_paused_ && (is_held_ || !on_data_);
}

// Called with an edge. Looks for the peer's end while nothing is read. It is passed on if no bytes
// are before it.
void Stream::look_for_end() {
  if (has_receives_) [[unlikely]]
    return look_for_arrived_end();
  constexpr std::uint32_t kEnds = kMayHaveMore | kHangUp;
  if ((hints_.load(std::memory_order_relaxed) & kEnds) == 0) return;
  const std::uint32_t mark = edges_.mark(Direction::read);
  std::byte byte;
  const SysResult result = core_->kernel().recv(fd_.get(), &byte, 1, MSG_PEEK);
  if (result.value() > 0) {
    take_hang_up();  // bytes are before the end; a reset does not wait for them
  } else if (result.ok()) {
    read_closed_ = true;
    tell_read_closed();
  } else if (result.error() == EAGAIN) {
    edges_.use_up(Direction::read, mark);
  } else if (result.error() == EINTR) {
    (void)word().wake();
  } else {
    fail_call("recv", result.error());
  }
}

void Stream::discarded(std::size_t bytes) {
  lingered_bytes_ += static_cast<std::uint32_t>(bytes);  // of one buffer
  if (lingered_bytes_ > kLingerBytes) {
    fail(absl::ResourceExhaustedError("close: the peer goes on sending"));
  }
}

void Stream::tell_read_closed() {
  if (extra_ && extra_->on_read_closed) {
    call(*extra_->on_read_closed);
  } else {
    begin_close(absl::OkStatus());
  }
}

// Looks for a reset where no read would find it: after the end of file, and while nothing is read.
void Stream::take_hang_up() {
  if (write_shut_ || is_ending()) return;
  if (has_receives_) [[unlikely]] {
    if (const int error = receives().error(token()); error != 0) return fail_call("recv", error);
    if (phase_ == Phase::open) watch_socket();
  }
  if ((hints_.load(std::memory_order_relaxed) & kHangUp) == 0) return;
  hints_.fetch_and(~kHangUp, std::memory_order_relaxed);
  int error = 0;
  unsigned size = sizeof error;
  (void)core_->kernel().getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fail_call("connection", error);
}

// For engines without edges.
void Stream::rearm() {
  if (!is_registered_) return;
  const std::uint32_t events = events_.load(std::memory_order_acquire);
  // The end of file is told as readable. Once bytes wait before it, that would be told again and
  // again.
  const bool wants_readable = wants_read() || (leaves_bytes() && !edges_.is_ready(Direction::read));
  std::uint8_t wanted =
      static_cast<std::uint8_t>((wants_readable ? 1 : 0) | (is_write_blocked_ ? 2 : 0));
  // No read finds a reset after the end of file, or behind bytes that wait, so this asks for a
  // hang-up. One arming is enough: a hang-up lasts.
  if (wanted == 0 && ((read_closed_ && !write_shut_) || leaves_bytes())) wanted = kArmedForHangUp;
  if (wanted == 0 ||
      (wanted == armed_directions_ && (events == events_at_rearm_ || wanted == kArmedForHangUp))) {
    return;
  }
  events_at_rearm_ = events;
  armed_directions_ = wanted;
  Interest interest = Interest::readable().one_shot();
  if (wanted == 3) interest = interest | Interest::writable();
  if (wanted == 2) interest = Interest::writable().one_shot();
  if (wanted == kArmedForHangUp) interest = Interest::hang_up().one_shot();
  absl::Status armed = home().registry()->reregister_fd(fd_.get(), token(), interest);
  if (!armed.ok()) fail(std::move(armed));
}

void Stream::drain() {
  // A connection that begins with the shutdown is told twice: by start() and by the reactor.
  if (is_of_task_) return;  // its task is stopped when the connections are done
  if (phase_ != Phase::open || is_drained_) return;
  is_drained_ = true;
  const bool is_told = extra_ && extra_->on_drain;
  if (is_of_coroutines() && !is_told) {
    is_draining_ = true;
    if (tasks() == nullptr) return;
    end_closed(absl::CancelledError("Connection::closed: the runtime shuts down"));
    return;
  }
  if (is_told) {
    call(*extra_->on_drain);
  } else {
    closes_after_read_ = true;
  }
}

}  // namespace epore::internal
