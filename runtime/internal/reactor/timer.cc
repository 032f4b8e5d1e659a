#include "epore/runtime/timer.h"

#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "absl/time/time.h"
#include "epore/runtime/internal/reactor/timer_entry.h"

namespace epore {
namespace {

// Rounds up to whole nanoseconds, so that no timer fires early.
std::int64_t nanoseconds(absl::Duration duration) {
  if (duration <= absl::ZeroDuration()) return 0;
  // absl::Ceil() divides 128 bits, which costs as much as reading the clock.
  const std::int64_t whole = absl::ToInt64Nanoseconds(duration);
  const bool is_rounded =
      whole < std::numeric_limits<std::int64_t>::max() && absl::Nanoseconds(whole) < duration;
  return is_rounded ? whole + 1 : whole;
}

}  // namespace

Timer::Timer() = default;
Timer::Timer(const Timer&) = default;
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(const Timer&) = default;
Timer& Timer::operator=(Timer&&) noexcept = default;
Timer::~Timer() = default;

Timer::Timer(internal::Ref<internal::TimerEntry> entry) : entry_(std::move(entry)) {}

bool Timer::arm(absl::Duration after) {
  try {
    return entry_ && entry_->arm(nanoseconds(after));
  } catch (const std::bad_alloc&) {
    return false;
  }
}

bool Timer::arm_every(absl::Duration interval) {
  if (interval <= absl::ZeroDuration()) return false;
  try {
    return entry_ && entry_->arm_every(nanoseconds(interval));
  } catch (const std::bad_alloc&) {
    return false;
  }
}

bool Timer::cancel() { return entry_ && entry_->cancel(); }

bool Timer::is_armed() const { return entry_ && entry_->is_armed(); }

}  // namespace epore
