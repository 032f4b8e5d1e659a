// How a Stream ends: gracefully, by an error, by a timeout.

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"

namespace epore::internal {

void Stream::begin_close(absl::Status why) {
  if (phase_ != Phase::open) return;
  phase_ = Phase::closing;
  end_ = std::move(why);
  can_send_.store(false, std::memory_order_release);
  is_open_.store(false, std::memory_order_release);
  if (has_tasks_) end_operations();
}

void Stream::fail(absl::Status why) {
  if (is_ending()) return;
  phase_ = Phase::ending;
  if (end_.ok()) end_ = std::move(why);
  can_send_.store(false, std::memory_order_release);
  is_open_.store(false, std::memory_order_release);
  if (has_tasks_) end_operations();
  if (!is_runner()) core_->wake(*this);  // a coroutine of the same order found it
}

void Stream::fail_call(std::string_view call, int error) {
  fail(errno_status(error, absl::StrCat(call, "(fd ", fd_.get(), ")")));
}

void Stream::reset(absl::Status why) {
  if (is_ending()) return;
  if (phase_ <= Phase::closing && core_->is_cut_off()) [[unlikely]]
    core_->counters().add(Counter::connections_cut_off);
  wants_reset_ = true;
  fail(std::move(why));
}

void Stream::no_memory() {
  if (has_ended_.load(std::memory_order_acquire)) return;
  can_send_.store(false, std::memory_order_release);
  is_open_.store(false, std::memory_order_release);
  if (is_runner()) return reset(limits_->no_memory);
  abort_due_.fetch_or(kNoMemory, std::memory_order_release);
  core_->wake(*this);
}

void Stream::exception(absl::Status thrown) {
  core_->counters().add(Counter::callback_exceptions);
  tell([&] {
    LOG_EVERY_N_SEC(WARNING, 1) << "epore: a callback of " << describe() << " has thrown, which "
                                << "ends the connection: " << thrown;
  });
  reset(std::move(thrown));
}

// The rest of settle() while the connection closes: the next step of that.
void Stream::settle_end() {
  const bool wants_shut = phase_ == Phase::closing || write_shut_asked_;
  if (!is_ending() && wants_shut && !write_shut_ && !has_output() && !waits_for_writer()) {
    // The peer has ended its half, so there is nothing to wait for. close(2) ends our half as well.
    if (read_closed_) {
      fail(end_);
    } else if (shut_write() && phase_ == Phase::closing) {
      phase_ = Phase::lingering;
      waiting_since_ = core_->kernel().now();
    }
  }
  if (read_closed_ && write_shut_ && !is_ending()) fail(end_);
  // Here close() came after shut_down_write().
  if (phase_ == Phase::closing && write_shut_) {
    phase_ = Phase::lingering;
    waiting_since_ = core_->kernel().now();
  }
  if (!is_ending() && !home().has_edges()) rearm();
  if (is_ending()) {
    finish();
  } else {
    go_on(has_timeout());
  }
}

// Whether a coroutine waits for room, which goes on writing. A flush() that waits while the
// connection closes does not.
bool Stream::waits_for_writer() const { return phase_ == Phase::open && first_writer() != nullptr; }

bool Stream::shut_write() {
  write_shut_ = true;
  const SysResult shut = core_->kernel().shutdown(fd_.get(), SHUT_WR);
  if (!shut.ok()) fail_call("shutdown", shut.error());
  return shut.ok();
}

void Stream::finish() {
  phase_ = Phase::closed;
  has_ended_.store(true, std::memory_order_release);
  home().timers().disable(*this);  // not cancel(): expired() may arm it on another thread
  ClosedTimers timers(timers_, home().timer_lists());
  if (wants_reset_) {
    const linger reset = {1, 0};
    (void)core_->kernel().setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  // The order matters. retire() lets no event find this stream any more. deregister_fd() comes
  // while the descriptor is certainly ours. After close(2) another thread may get the same number.
  retire();
  if ((is_registered_ && !has_receives_) || is_in_queue_already_) {
    (void)home().registry()->deregister_fd(fd_.get());
  }
  if (has_receives_) [[unlikely]]
    end_receives();
  fd_.reset();
  if (limits_->permits) [[unlikely]]
    limits_->permits->give_back();
  core_->permits().give_back();
  core_->counters().add(Counter::connections_closed);
  if (is_of_task_) core_->tasks().end_connection();
  if (Output& output = this_thread.buffers->output; output.owner == this) output.clear();
  queue_.clear();
  if (tasks() != nullptr) tasks()->sent.clear();
  recount();
  // A coroutine may have got the bytes that they came with, and be about to take them.
  if (is_unix_ && !is_read_by_task_) unix_peer().descriptors().close();
  // Each callback is moved out first: the destructors of its captures may call this connection.
  const auto take = [](auto& callback) { return std::exchange(callback, nullptr); };
  if (extra_ && extra_->on_closed) {
    const auto closed = take(extra_->on_closed);
    was_told_closed_ = true;
    call_always(*closed, end_);
  }
  timers.drop_callbacks();
  (void)take(on_data_);
  if (extra_) {
    (void)take(extra_->on_read_closed);
    (void)take(extra_->on_writable);
    (void)take(extra_->on_drain);
  }
  deliver_late_mail();
  if (tasks() != nullptr) end_closed(absl::OkStatus());
  self_ = Connection();
  core_->end_activity();
}

// A timeout is judged in two steps. When it expires, ready bytes may be waiting in the kernel: the
// process was stopped, or a callback held the thread up. So the first expiry only lets the
// connection run. The run finds that the timeout is due, becomes a suspect, and arms the timeout
// for the present time. The second expiry comes behind a poll(), and after all events that were
// ready at the first one.
void Stream::expired() {
  const std::uint8_t sweep = static_cast<std::uint8_t>(home().sweeps());
  if (is_suspect_.load(std::memory_order_relaxed) &&
      static_cast<std::uint8_t>(sweep - suspect_sweep_) < 2) {
    try {
      home().arm(*this, this_thread.now);
      return;
    } catch (const std::bad_alloc&) {  // without a timer, judge it now
    }
  }
  suspect_sweep_ = sweep;
  timeout_expired_.store(true, std::memory_order_release);
  core_->wake(*this);
}

// Notes when bytes moved. It does so at the end of a run, so the time in callbacks does not count
// against the peer. A connection without a timeout does not read the clock.
void Stream::note_times() {
  const bool is_idle_clocked = timeouts().idle != kNever && phase_ == Phase::open;
  const bool is_wait_clocked = !queue_.empty() && (moved_ & (kSent | kQueued)) != 0;
  if (!is_idle_clocked && !is_wait_clocked) return;
  const std::int64_t now = core_->kernel().now();
  last_activity_ = now;
  if (is_wait_clocked) waiting_since_ = now;
}

std::int64_t Stream::next_timeout() const {
  if (phase_ == Phase::lingering) return saturating_add(waiting_since_, timeouts().linger);
  std::int64_t next = kNever;
  if (timeouts().idle != kNever && phase_ == Phase::open) {
    next = saturating_add(last_activity_, timeouts().idle);
  }
  if (!queue_.empty()) {
    next = std::min(next, saturating_add(waiting_since_, timeouts().write_stall));
  }
  return next;
}

// Arms the timer if the deadline comes earlier than the armed one. Each byte moves the deadline
// away, and then the timer stays as it is: it expires too early, and is armed for the rest. That is
// one wake for each timeout, and none for each byte.
void Stream::arm_timeouts() {
  const std::int64_t next = next_timeout();
  if (next >= armed_timeout_) return;
  armed_timeout_ = next;
  home().arm(*this, next);
}

// Called after this run has read and written everything that was ready.
void Stream::check_timeouts() {
  armed_timeout_ = kNever;
  const bool was_suspect = is_suspect_.load(std::memory_order_relaxed);
  is_suspect_.store(false, std::memory_order_relaxed);
  if (is_ending()) return;
  if (phase_ == Phase::lingering && read_closed_) return;  // the end came, and settle() takes it
  const std::int64_t now = core_->kernel().now();
  if (now < next_timeout()) return;
  if (!was_suspect) {
    is_suspect_.store(true,
                      std::memory_order_relaxed);  // the lock in arm() publishes it to expired()
    armed_timeout_ = now;
    home().arm(*this, now);
    return;
  }
  if (phase_ == Phase::lingering) {
    fail(absl::DeadlineExceededError(
        absl::StrCat("close: no end of file from the peer within ",
                     absl::FormatDuration(absl::Nanoseconds(timeouts().linger)))));
  } else if (!queue_.empty() && now >= saturating_add(waiting_since_, timeouts().write_stall)) {
    reset(absl::DeadlineExceededError(
        absl::StrCat("send: the peer took none of ", queue_.size(), " queued bytes for ",
                     absl::FormatDuration(absl::Nanoseconds(timeouts().write_stall)))));
  } else if (holds_up_peer()) {
    last_activity_ = now;
  } else {
    begin_close(absl::DeadlineExceededError(
        absl::StrCat("idle for ", absl::FormatDuration(absl::Nanoseconds(timeouts().idle)))));
  }
}

// Whether bytes of the peer wait while reading is paused, or no coroutine reads. Then this side is
// idle, not the peer.
bool Stream::holds_up_peer() {
  const bool waits_for_task = is_read_by_task_ && reader() == nullptr;
  if (!is_paused_ && !is_held_ && !waits_for_task) return false;
  if (has_receives_ && is_registered_ && receives().has_bytes(token())) return true;
  std::byte byte;
  return core_->kernel().recv(fd_.get(), &byte, 1, MSG_PEEK).value() > 0;
}

}  // namespace epore::internal
