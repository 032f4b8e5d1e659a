#ifndef EPORE_RUNTIME_INTERNAL_TIMER_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_TIMER_QUEUE_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/internal/due_list.h"
#include "runtime/internal/timer_wheel.h"

namespace epore::internal {

// A reactor's timers, armed and cancelled by any thread, expired by the poll thread.
//
//            arm                 deadline                claim
//   idle -----------> armed ---------------> due ----------------> idle, or armed if periodic
//     ^                 | cancel              | cancel
//     +-----------------+---------------------+
//
// A due node is out of the wheel and its expired() has been or is about to be called. A claim
// decides the race between a callback that is about to start and a cancel: whoever comes first
// wins. A periodic node is armed anew in the claim itself, so that a cancel during its callback
// finds it armed, and nobody ever finds it idle.
//
// A periodic node changes under the lock only. One that is due once is claimed without it, for that
// happens once for each timer that expires: claim_once() and cancel() change it by a
// compare-exchange, and one of them fails. arm() just stores: either before the claim, which finds
// it armed then, or after it, as if it had been called then. That a node is due is stored with
// release, so that the claim sees what was done before the arm().
class TimerQueue {
 public:
  enum class State : std::uint8_t { idle, armed, due };

  struct Armed {
    State before;
    bool is_armed;     // now
    bool is_earliest;  // the poll thread must be told
  };

  explicit TimerQueue(std::int64_t now) : wheel_(now) {}

  // Arms the node, whatever its state; with an interval, again and again. kNever is just as idle.
  [[nodiscard]] Armed arm(TimerNode& node, std::int64_t deadline, std::int64_t interval = 0);

  // Makes it idle; returns what it was.
  State cancel(TimerNode& node);

  struct Claimed {
    bool was_due;
    bool is_armed;  // anew, for its next period
    bool is_earliest;
  };
  // Turns due into idle, or into armed for the first period that ends after `now`.
  [[nodiscard]] Claimed claim(TimerNode& node, std::int64_t now);

  // The same for a node without a period. False: it has one, or was not due.
  [[nodiscard]] bool claim_once(TimerNode& node) {
    std::int16_t due = TimerNode::kDue;
    return node.slot_.compare_exchange_strong(due, TimerNode::kOut, std::memory_order_acq_rel,
                                              std::memory_order_acquire);
  }

  State state(const TimerNode& node) const;

  // The leader: takes out the nodes with deadlines up to `now`, if it has popped all that it took
  // out before. They must live until they are popped and told, cancelled or not.
  void collect(std::int64_t now);
  // The next of them, earliest first, or null: the caller calls its expired().
  TimerNode* pop() { return due_.pop(); }
  std::size_t collected() const { return due_.size(); }

  // At least as early as the earliest deadline. Read without the lock: whoever moves it forward
  // wakes the poll thread afterwards.
  std::int64_t earliest() const { return earliest_.load(std::memory_order_acquire); }

  std::uint64_t size();

  // For the end: takes all out, idle, calls expired() on them, runs nothing for them, and stays
  // empty from now on.
  void close();

 private:
  bool insert(TimerNode& node, std::int64_t deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  State take_out(TimerNode& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<std::int64_t> earliest_{kNever};  // written under mutex_
  DueList due_;                                 // the leader only

  absl::Mutex mutex_;
  TimerWheel wheel_ ABSL_GUARDED_BY(mutex_);
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMER_QUEUE_H_
