#ifndef EPORE_RUNTIME_INTERNAL_BASE_GATE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_GATE_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/base/deadline.h"

namespace epore::internal {

// Waiting for a condition that other threads make true: they change it and call notify().
//
// Threads park on the word, at no cost while nobody waits. One thread at a time may wait by the
// bell instead, an eventfd that signal handlers ring as well: a park goes on after a handler has
// run, and ThreadSanitizer, which holds handlers back until its thread makes a call that it knows,
// does not know futexes.
//
// The word orders all of it, by read-modify-writes alone. Parking: the futex compares, so a notify
// after `seen` was read ends it at once. The bell: whoever hangs it up touches the word afterwards.
// A notify that comes later in the word's order finds the bell; what an earlier one has changed is
// seen by the look that follows. It is emptied before each look, so a ring after the look ends the
// wait.
class Gate {
 public:
  enum class By { park, bell };

  explicit Gate(Kernel& kernel) : kernel_(kernel) {}
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Any thread.
  void notify();

  // Waits until `condition()` holds or `deadline` has passed; returns whether it held.
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

  // Hangs up the bell, which stays; needed once before By::bell. One thread at a time.
  absl::Status hang_bell();
  int bell() const { return bell_.load(std::memory_order_acquire); }

 private:
  std::uint32_t begin(By by);
  void sleep(By by, std::uint32_t seen, std::int64_t left);

  Kernel& kernel_;
  std::atomic<std::uint32_t> word_{0};
  std::atomic<int> bell_{-1};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_GATE_H_
