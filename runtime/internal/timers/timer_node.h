#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_NODE_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_NODE_H_

#include <atomic>
#include <cstdint>

#include "epore/runtime/internal/dispatch/runnable.h"

namespace epore::internal {

// A Runnable that can wait for a deadline, in one TimerQueue at the most.
class TimerNode : public Runnable {
 public:
  // The leader calls this after the deadline, without a lock: it wakes what is to run. The node has
  // left the queue by then, unless another thread has armed it anew.
  virtual void expired() = 0;

  // Called under the queue's lock when an arm() brings the node into the queue. A node that needs a
  // reference while it is armed takes it here; expired(), cancel() and arm() say when it is free.
  virtual void entered() {}

 protected:
  TimerNode(Reactor& home, Kind kind) : Runnable(home, kind) {}

  // The place is an index in the heap (armed), or one of these.
  static constexpr std::uint32_t kOut = ~std::uint32_t{0};  // idle
  static constexpr std::uint32_t kRetired = kOut - 1;       // idle for good
  static constexpr std::uint32_t kDue = kOut - 2;           // expired, and not claimed yet

 private:
  friend class TimerHeap;
  friend class TimerQueue;

  static bool is_in_heap(std::uint32_t place) { return place < kDue; }

  std::uint32_t place() const { return place_.load(std::memory_order_acquire); }
  void set_place(std::uint32_t place) { place_.store(place, std::memory_order_release); }
  bool is_periodic() const { return interval_.load(std::memory_order_relaxed) != 0; }

  // All are written under the queue's lock. The atomics are read without it.
  std::atomic<std::uint32_t> place_{kOut};
  std::uint32_t number_ = 0;  // TimerHeap's
  std::int64_t deadline_ = 0;
  std::atomic<std::int64_t> interval_{0};  // 0: not periodic
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_NODE_H_
