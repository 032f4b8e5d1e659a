#ifndef EPORE_RUNTIME_INTERNAL_GATE_H_
#define EPORE_RUNTIME_INTERNAL_GATE_H_

#include <atomic>
#include <climits>
#include <cstdint>

#include "poll/sys/kernel.h"
#include "runtime/internal/timer_wheel.h"

namespace epore::internal {

// Waiting for a condition that other threads make true: they change it and call notify().
class Gate {
 public:
  explicit Gate(Kernel& kernel) : kernel_(kernel) {}

  void notify() {
    word_.fetch_add(1, std::memory_order_acq_rel);
    (void)kernel_.unpark(word_, INT_MAX);
  }

  // Waits until `condition()` holds or `deadline` has passed; returns whether it held.
  template <typename Condition>
  bool wait(Condition condition, std::int64_t deadline = kNever) {
    for (;;) {
      const std::uint32_t seen = word_.load(std::memory_order_acquire);
      if (condition()) return true;
      std::int64_t left = -1;
      if (deadline != kNever) {
        left = deadline - kernel_.now();
        if (left <= 0) return false;
      }
      (void)kernel_.park(word_, seen, left);  // returns at once if a notify came after `seen`
    }
  }

  std::atomic<std::uint32_t>& word() { return word_; }

 private:
  Kernel& kernel_;
  std::atomic<std::uint32_t> word_{0};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_GATE_H_
