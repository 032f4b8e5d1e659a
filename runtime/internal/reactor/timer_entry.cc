#include "epore/runtime/internal/reactor/timer_entry.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {

bool TimerEntry::arm(std::int64_t after) {
  return set(saturating_add(home().core().kernel().now(), std::max<std::int64_t>(after, 0)), 0);
}

bool TimerEntry::arm_every(std::int64_t interval) {
  interval = std::max<std::int64_t>(interval, 1);
  return set(saturating_add(home().core().kernel().now(), interval), interval);
}

bool TimerEntry::set(std::int64_t deadline, std::int64_t interval) {
  const TimerQueue::Armed armed = home().arm(*this, deadline, interval);
  if (armed.before == TimerQueue::State::armed && !armed.is_armed) drop_ref();  // the queue's
  return armed.is_armed;
}

bool TimerEntry::cancel() {
  const TimerQueue::State before = home().timers().cancel(*this);
  if (before == TimerQueue::State::armed) drop_ref();
  return before != TimerQueue::State::idle;
}

void TimerEntry::disable() {
  if (home().timers().disable(*this) == TimerQueue::State::armed) drop_ref();  // the queue's
}

bool TimerEntry::is_armed() { return TimerQueue::state(*this) != TimerQueue::State::idle; }

bool TimerEntry::claim() {
  // Only the next period needs the time. Reading the clock costs as much as a short callback.
  const std::int64_t now = TimerQueue::is_periodic(*this) ? home().core().kernel().now() : 0;
  const TimerQueue::Claimed claimed = home().timers().claim(*this, now);
  if (claimed.is_earliest) home().notify();
  return claimed.was_due;
}

}  // namespace epore::internal
