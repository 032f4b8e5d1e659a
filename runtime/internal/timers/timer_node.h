#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_NODE_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_NODE_H_

#include <atomic>
#include <cstdint>

#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/dispatch/runnable.h"

namespace epore::internal {

class TimerNode;

// One place of a TimerSlot. The deadline is here and not in the node, so that what is due is found
// and sorted without a look at the nodes, which after a while are in nobody's cache.
struct TimerCell {
  TimerNode* node;
  std::int64_t deadline;
};

// A Runnable that can wait for a time. Its part of that is TimerQueue's, of which it is in one at
// the most.
class TimerNode : public Runnable {
 public:
  // Called after the deadline on the poll thread, without a lock: wakes what is to run for it. The
  // node is out of the wheel then, unless somebody has armed it anew meanwhile.
  virtual void expired() = 0;

  // Called under TimerQueue's lock when the node comes into the wheel, not when it only moves in
  // it: for a reference, which then is the wheel's until expired(), cancel() or arm() say that the
  // node has left.
  virtual void entered() {}

 protected:
  TimerNode(Reactor& home, Kind kind) : Runnable(home, kind) {}
  ~TimerNode() override { delete period_.load(std::memory_order_relaxed); }

 private:
  friend class TimerSlot;
  friend class TimerWheel;
  friend class TimerQueue;

  // What only periodic nodes have. Made when one first is, and kept.
  struct Period {
    std::atomic<std::int64_t> interval{0};  // 0: it is not periodic now
    std::int64_t deadline = 0;              // the last one
  };

  // Where it is: in a cell, of the wheel or of what is due, or
  static constexpr std::uintptr_t kOut = 0;
  static constexpr std::uintptr_t kDue = 1;       // popped as due,
  static constexpr std::uintptr_t kDueAgain = 2;  // the same, of a periodic one,
  static constexpr std::uintptr_t kRetired = 3;   // out for good.
  static bool is_cell(std::uintptr_t place) { return place > kRetired; }
  static TimerCell* to_cell(std::uintptr_t place) { return reinterpret_cast<TimerCell*>(place); }

  std::uintptr_t place() const { return place_.load(std::memory_order_acquire); }
  void set_place(std::uintptr_t place) { place_.store(place, std::memory_order_release); }
  void set_place(TimerCell* cell) { set_place(reinterpret_cast<std::uintptr_t>(cell)); }

  // Of the lock's holder.
  void set_period(std::int64_t interval, std::int64_t deadline);
  // The end of the first period that ends after `now`, on the grid of the first deadline.
  std::int64_t next_period(std::int64_t now);

  std::int64_t interval() const {
    const Period* const period = period_.load(std::memory_order_acquire);
    return period == nullptr ? 0 : period->interval.load(std::memory_order_relaxed);
  }

  std::atomic<std::uintptr_t> place_{kOut};  // see TimerQueue
  std::atomic<Period*> period_{nullptr};     // made under its lock, read by the leader without
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_NODE_H_
