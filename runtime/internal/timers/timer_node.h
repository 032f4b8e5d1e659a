#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_NODE_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_NODE_H_

#include <atomic>
#include <cstdint>

#include "epore/runtime/internal/dispatch/runnable.h"

namespace epore::internal {

// A TimerNode is a Runnable that can wait for a deadline in a TimerQueue.
class TimerNode : public Runnable {
 public:
  // Called by the leader after the deadline, without a lock. It wakes what must run. The node is
  // not in the queue by then, unless another thread has armed it again.
  virtual void expired() = 0;

  // Called under the queue's lock when the node enters the queue. A node that needs a reference
  // while it is armed takes it here. The reference is free again after expired(), or when cancel()
  // or arm() has taken an armed node out.
  virtual void entered() {}

 protected:
  TimerNode(Reactor& home, Kind kind) : Runnable(home, kind) {}

  // A place is an index in the heap (armed), or one of these.
  static constexpr std::uint32_t kOut = ~std::uint32_t{0};  // idle
  static constexpr std::uint32_t kDisabled = kOut - 1;      // idle, and never armed again
  static constexpr std::uint32_t kDue = kOut - 2;           // popped, but not claimed yet

 private:
  friend class TimerHeap;
  friend class TimerQueue;

  static bool is_in_heap(std::uint32_t place) { return place < kDue; }

  std::uint32_t place() const { return place_.load(std::memory_order_acquire); }
  void set_place(std::uint32_t place) { place_.store(place, std::memory_order_release); }
  virtual bool is_periodic() const { return false; }

  // All members are written under the queue's lock. place_ is stored with release and loaded with
  // acquire by any thread, to look whether the timer is armed. The answer is certain only in the
  // timer's own order; elsewhere another thread may change it at once.
  std::atomic<std::uint32_t> place_{kOut};
  std::uint32_t number_ = 0;  // the order of insertion, see TimerHeap
  std::int64_t deadline_ = 0;
};

// A PeriodicNode is a TimerNode that may be armed for an interval. Connections and tasks never are,
// and do without the word.
class PeriodicNode : public TimerNode {
 protected:
  using TimerNode::TimerNode;

 private:
  friend class TimerQueue;

  bool is_periodic() const override { return interval_.load(std::memory_order_relaxed) != 0; }

  // 0: not periodic. Written under the queue's lock; relaxed, because only the thread that claims
  // the node uses it.
  std::atomic<std::int64_t> interval_{0};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_NODE_H_
