// What a Stream tells of itself in the list of connections.

#include <algorithm>
#include <cstdint>
#include <source_location>

#include "absl/time/time.h"
#include "epore/runtime/connection_info.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"

namespace epore::internal {
namespace {

// An operation that is itself the child of a join has no place. is_chain is not asked, because the
// waiter's order, which may be another one, writes to that word as the wait begins.
std::source_location place_of(const TaskNode& waiter) {
  if (waiter.scope->chain == &waiter) return {};
  return static_cast<const CoroutineNode&>(waiter).where;
}

}  // namespace

// A thread that looks is the runner for that moment: it claims the word of the order, and a wake
// meanwhile makes end() queue the order. It runs no user code, makes no system call and allocates
// nothing before end().
bool Stream::look(std::int64_t now, ConnectionInfo& info) {
  if (has_ended()) return false;
  info.id = id_;
  info.local_address = local_.get();
  info.peer_address = peer_.get();
  info.queued_bytes = queued_bytes();
  info.is_above_high_mark = info.queued_bytes > limits_->write_high_mark;
  if (is_in_order()) {  // of this thread, which may be in a callback of this connection
    info.run = word().is_running() ? ConnectionInfo::Run::running : ConnectionInfo::Run::idle;
    look_inside(now, info);
    return true;
  }
  Runnable& order = order_ ? static_cast<Runnable&>(*order_) : *this;
  if (order.word().claim_idle()) {
    info.run = ConnectionInfo::Run::idle;
    const bool is_closed = phase_ == Phase::closed;
    if (!is_closed) look_inside(now, info);
    core_->end(order);
    return !is_closed;
  }
  info.run = order.word().is_running() ? ConnectionInfo::Run::running : ConnectionInfo::Run::queued;
  return true;
}

void Stream::look_inside(std::int64_t now, ConnectionInfo& info) const {
  info.is_known = true;
  switch (phase_) {
    case Phase::open:
      info.phase = ConnectionInfo::Phase::open;
      break;
    case Phase::lingering:
      info.phase = ConnectionInfo::Phase::lingering;
      break;
    default:
      info.phase = ConnectionInfo::Phase::closing;
  }
  look_at_reading(info);
  info.is_write_blocked = is_write_blocked_;
  info.is_write_shut = write_shut_asked_ || write_shut_;
  info.is_draining = is_drained_;
  look_at_timeouts(now, info);
}

// Also of coroutines: an operation stays in its frame as long as the stream knows it, and
// what it is awaited by stays suspended.
void Stream::look_at_reading(ConnectionInfo& info) const {
  using Reading = ConnectionInfo::Reading;
  const bool is_of_tasks = is_read_by_task_ || (!on_data_ && is_of_coroutines());
  info.has_unread = !read_closed_ && edges_.is_ready(Direction::read);
  if (phase_ != Phase::open) {
    info.reading = Reading::discarding;
  } else if (read_closed_) {
    info.reading = Reading::ended;
  } else if (is_of_tasks) {
    info.reading = reader() == nullptr ? Reading::by_nobody
                   : is_held_          ? Reading::held
                                       : Reading::by_task;
  } else if (!on_data_) {
    info.reading = Reading::by_nobody;
  } else if (is_paused_) {
    info.reading = Reading::paused;
  } else {
    info.reading = is_held_ ? Reading::held : Reading::by_callback;
  }
  const WriteOperationBase* const writer = first_writer();
  info.has_writer = writer != nullptr;
  if (info.reading != Reading::by_task && writer != nullptr) {
    if (writer->is_waiting()) info.where = place_of(writer->waiter());
  } else if (reader() != nullptr && reader()->is_waiting()) {
    info.where = place_of(reader()->waiter());
  }
}

void Stream::look_at_timeouts(std::int64_t now, ConnectionInfo& info) const {
  using Timeout = ConnectionInfo::Timeout;
  const std::int64_t next = next_timeout();
  if (next == kNever || armed_timeout_ == kNever) return;  // or it has not run yet
  const bool is_write_stall =
      !queue_.empty() && next == saturating_add(waiting_since_, timeouts().write_stall);
  info.timeout = is_write_stall ? Timeout::write_stall : Timeout::idle;
  std::int64_t whole = is_write_stall ? timeouts().write_stall : timeouts().idle;
  if (phase_ == Phase::lingering) {
    info.timeout = Timeout::linger;
    whole = timeouts().linger;
  }
  // The wait may have begun behind `now`, which is of the begin of the list.
  info.time_left = absl::Nanoseconds(std::min(next - now, whole));
}

}  // namespace epore::internal
