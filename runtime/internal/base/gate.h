#ifndef EPORE_RUNTIME_INTERNAL_BASE_GATE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_GATE_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/base/deadline.h"

namespace epore::internal {

// A Gate lets a thread wait for a condition that other threads make true. They change the condition
// and call notify(). A Gate holds no condition of its own, and no lock.
//
// A thread waits in one of two ways. By::park waits on the word with a futex, and any number of
// threads may do so. By::bell waits with ppoll(2) on an eventfd, the bell, and one thread at a time
// may do so. A signal handler can ring the bell, but cannot end a park: park() starts again after a
// handler. ThreadSanitizer also delays handlers until a call that it knows, and it knows no futex.
//
// word_ counts the notifies. bell_ is the eventfd, or -1 before hang_bell().
//
//   notifier                               waiter
//   changes the condition                  (bell: empties the bell)
//   word_ += 1, acq_rel                    seen = word_, acquire
//   wakes the futex                        looks at the condition
//   bell_, acquire; rings it, if any       parks while word_ == seen, or waits for the bell
//
// The race: a notify between the look and the sleep. For a park the futex compares word_ with
// `seen` and returns at once. For the bell the ring comes after the bell was emptied, so ppoll(2)
// returns at once. The condition itself is visible because the waiter's load reads the notifier's
// increment.
//
// Another race: a notify that comes before there is a bell. hang_bell() stores bell_ (release) and
// then increments word_ (acq_rel). A notify with a later increment sees the bell. The waiter sees
// the condition of an earlier notify in its next look.
class Gate {
 public:
  enum class By { park, bell };

  explicit Gate(Kernel& kernel) : kernel_(kernel) {}
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Wakes all waiters, which look at their conditions again. Any thread.
  void notify();

  // The same for those that park.
  void notify_parked();

  // Waits until `condition()` is true or `deadline` has passed. Returns whether it is true.
  template <typename Condition>
  bool wait(Condition condition, std::int64_t deadline = kNever, By by = By::park) {
    for (;;) {
      const std::uint32_t seen = begin(by);
      if (condition()) return true;
      std::int64_t left = -1;
      if (deadline != kNever) {
        left = deadline - kernel_.now();
        if (left <= 0) return false;
      }
      sleep(by, seen, left);
    }
  }

  // Makes the bell, unless there is one already. Required before By::bell. One thread at a time.
  // Errors: those of eventfd(2).
  absl::Status hang_bell();
  int bell() const { return bell_.load(std::memory_order_acquire); }

  // For a thread that waits for the bell beside other descriptors: before it looks at its
  // condition.
  void empty_bell();

 private:
  std::uint32_t begin(By by);
  void sleep(By by, std::uint32_t seen, std::int64_t left);

  Kernel& kernel_;
  std::atomic<std::uint32_t> word_{0};
  std::atomic<int> bell_{-1};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_GATE_H_
