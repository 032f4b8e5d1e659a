#include "epore/runtime/sleep.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/base/no_memory.h"

namespace epore::internal {

bool TimeOperation::wait_until(TaskNode& node, std::int64_t at) {
  if (const absl::Status* stop = find_stop(node.scope); stop != nullptr) {
    node.status = *stop;
    return true;
  }
  if (fails_as_awaited(name(), is_waiting(), node)) return true;
  wait(node);
  // No time is before the begin of the clock: the difference to now would be none of an int64.
  if (at != kNever) node.scope->chain->home().arm(*this, std::max<std::int64_t>(at, 0));
  return false;
}

void TimeOperation::cancel(const absl::Status& why) {
  if (!is_waiting()) return;
  waiter().scope->chain->home().disarm(*this);
  complete(why);
}

void TimeOperation::due() { complete(absl::OkStatus()); }

bool SleepOperation::begin(TaskNode& node) {
  if (has_time_) {
    const auto at = std::chrono::duration_cast<std::chrono::nanoseconds>(until_.time_since_epoch());
    return wait_until(node, at.count());
  }
  const std::int64_t duration = std::max<std::int64_t>(absl::ToInt64Nanoseconds(duration_), 0);
  if (duration == kNever) return wait_until(node, kNever);
  return wait_until(node, saturating_add(node.scope->chain->home().now(), duration));
}

bool TickOperation::begin(TaskNode& node) {
  if (ticker_.period_ <= absl::ZeroDuration()) {
    node.status = make_error(absl::StatusCode::kInvalidArgument,
                             "Ticker::tick: the period must be more than zero");
    return true;
  }
  const std::int64_t now = node.scope->chain->home().now();
  const std::int64_t period = std::max<std::int64_t>(absl::ToInt64Nanoseconds(ticker_.period_), 1);
  if (ticker_.next_ == 0) ticker_.next_ = saturating_add(now, period);
  const std::int64_t tick = ticker_.next_;
  const std::int64_t missed = std::max<std::int64_t>(now - tick, 0) / period;
  next_ = missed > (kNever - tick) / period - 1 ? kNever : tick + (missed + 1) * period;
  return wait_until(node, tick);
}

void TickOperation::take() { ticker_.next_ = next_; }

bool YieldOperation::begin(TaskNode& node) {
  if (const absl::Status* stop = find_stop(node.scope); stop != nullptr) {
    node.status = *stop;
    return true;
  }
  Trampoline::let_others_run(node);  // which is complete, with ok
  return false;
}

}  // namespace epore::internal
