#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_PATIENCE_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_PATIENCE_H_

#include <algorithm>
#include <cstdint>

namespace epore::internal {

// A Patience says how long the leaders of a reactor may be stuck before a relief comes. Callbacks
// that take one lock gain nothing by a relief: it waits for the thread that it relieved, and the
// work moves to another processor. After such a relief the next one comes later. After a relief
// that has waited for no lock, it comes in half of the time. All times are in ns. The watchdog
// only.
class Patience {
 public:
  // A leader that waits for a lock may always be stuck for so long.
  static constexpr std::int64_t kLongest = 50'000'000;

  std::int64_t time() const { return time_; }

  // A relief comes now.
  void relieved(std::int64_t now) {
    if (judged_until_ != 0) time_ /= 2;  // the last one waited for no lock
    judged_until_ = now + kLongest;
  }

  // Whether the last relief came a short time ago, and has not been seen to wait.
  bool is_judging(std::int64_t now) const { return now < judged_until_; }

  // The relief waits for a lock.
  void waits_for_lock() {
    time_ = std::clamp(4 * time_, kFirst, kLongest);
    judged_until_ = 0;
  }

 private:
  static constexpr std::int64_t kFirst = 4'000'000;

  std::int64_t time_ = 0;
  std::int64_t judged_until_ = 0;  // 0: there was no relief, or the last one has waited for a lock
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_PATIENCE_H_
