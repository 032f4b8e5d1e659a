#ifndef EPORE_RUNTIME_INTERNAL_TIMER_NODE_H_
#define EPORE_RUNTIME_INTERNAL_TIMER_NODE_H_

#include <atomic>
#include <cstdint>
#include <limits>

#include "runtime/internal/ref.h"

namespace epore::internal {

class Runnable;

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// a + b for a >= 0, stopping at the ends instead of overflowing.
constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  return b > kNever - a ? kNever : a + b;
}

// What a timer wheel holds; part of the object that waits. Everything is the wheel owner's, but for
// the slot, which TimerQueue's claim_once() and state() look at without its lock.
class TimerNode {
 public:
  TimerNode() = default;
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  // Called after the deadline on the poll thread, without a lock. The node is out of the wheel
  // then, unless somebody has armed it anew meanwhile. Returns what the caller is to run for it, if
  // anything: neither woken nor queued yet.
  virtual Ref<Runnable> expired() = 0;

  // Called under TimerQueue's lock when the node comes into the wheel, not when it only moves in
  // it: for a reference, which then is the wheel's until expired(), cancel() or arm() say that the
  // node has left.
  virtual void entered() {}

 protected:
  ~TimerNode() = default;

 private:
  friend class DueList;
  friend class TimerSlot;
  friend class TimerWheel;
  friend class TimerQueue;

  static constexpr std::int16_t kOut = -1;
  static constexpr std::int16_t kDue = -2;       // taken out as due
  static constexpr std::int16_t kDueAgain = -3;  // the same, of a periodic one

  bool is_in() const { return slot() >= 0; }
  std::int16_t slot() const { return slot_.load(std::memory_order_relaxed); }
  void set_slot(std::int16_t slot) { slot_.store(slot, std::memory_order_relaxed); }
  void set_due() { slot_.store(interval_ == 0 ? kDue : kDueAgain, std::memory_order_release); }

  std::int64_t interval_ = 0;   // TimerQueue's: of a periodic one
  TimerNode** cell_ = nullptr;  // where its slot has it
  std::int64_t deadline_ = kNever;
  std::atomic<std::int16_t> slot_{kOut};  // in the wheel: level * 64 + digit
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMER_NODE_H_
