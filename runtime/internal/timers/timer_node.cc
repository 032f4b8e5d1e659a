#include "epore/runtime/internal/timers/timer_node.h"

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace epore::internal {

void TimerNode::set_period(std::int64_t interval, std::int64_t deadline) {
  Period* period = period_.load(std::memory_order_relaxed);
  if (period == nullptr) {
    if (interval == 0) return;
    period = new Period;
    period_.store(period, std::memory_order_release);
  }
  period->interval.store(interval, std::memory_order_relaxed);
  period->deadline = deadline;
}

std::int64_t TimerNode::next_period(std::int64_t now) {
  Period& period = *period_.load(std::memory_order_relaxed);
  const std::int64_t interval = period.interval.load(std::memory_order_relaxed);
  const std::int64_t late = std::max<std::int64_t>(now - period.deadline, 0);
  const std::int64_t periods = late / interval + 1;
  period.deadline =
      periods > kNever / interval ? kNever : saturating_add(period.deadline, periods * interval);
  return period.deadline;
}

}  // namespace epore::internal
