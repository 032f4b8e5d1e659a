#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_QUEUE_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/timers/due_list.h"
#include "epore/runtime/internal/timers/timer_wheel.h"

namespace epore::internal {

// A reactor's timers, armed and cancelled by any thread, expired by the poll thread.
//
//            arm                 deadline                claim
//   idle -----------> armed ---------------> due ----------------> idle, or armed if periodic
//     ^                 | cancel              | cancel
//     +-----------------+---------------------+
//
// A claim decides the race between a callback that is about to start and a cancel: whoever comes
// first wins. A periodic node is armed anew in the claim itself, so that a cancel during its
// callback finds it armed, and nobody ever finds it idle.
//
// What is due is first in its cell still, but in the list of the leader, which pops it. The leader
// claims a node that it pops, or hands it on to whoever is to claim it later, on whatever thread.
// It does either, and claim_once() is, by one compare-exchange of the node's place, without the
// lock, as that happens once for each timer that expires. cancel() exchanges it, so that one of
// them comes too late. arm() just stores: either before the claim, which finds it armed then, or
// after it, as if it had been called then. What the leader expects there is the cell in which it
// found the node due: nobody else is given that cell before a leader has popped all, so a node that
// is armed anew is never taken for one that is due. Being handed on is stored with release, so that
// the claim sees what was done before the arm().
class TimerQueue {
 public:
  using Due = DueList::Due;

  enum class State : std::uint8_t { idle, armed, due };

  struct Armed {
    State before;
    bool is_armed;     // now
    bool is_earliest;  // the poll thread must be told
  };

  explicit TimerQueue(std::int64_t now) : wheel_(now) {}

  // Arms the node, whatever its state, but not if it was retired; with an interval, again and
  // again. kNever is just as idle.
  [[nodiscard]] Armed arm(TimerNode& node, std::int64_t deadline, std::int64_t interval = 0);

  // Makes it idle; returns what it was.
  State cancel(TimerNode& node);

  // The same, and for good: nothing arms it from now on.
  State retire(TimerNode& node);

  // Any thread. Without the lock, of a node that others change meanwhile, it may mix up armed and
  // due, but not idle with either.
  static State state(const TimerNode& node);

  // The leader: takes out the nodes with deadlines up to `now`, if it has popped all that it took
  // out before. They must live until they are popped and told, cancelled or not.
  void collect(std::int64_t now);
  std::size_t collected() const { return due_.size(); }

  // The next of them, earliest first, or none. The caller is to claim it or to hand it on before it
  // gives up the lead, and to call its expired() if it handed it on.
  Due pop() { return due_.pop(); }

  // The leader, of what it has just popped: turns due into idle. False: it was not due any more, or
  // is periodic.
  [[nodiscard]] static bool claim_popped(const Due& due) {
    return due.node->interval() == 0 && change(*due.node, to_place(due.cell), TimerNode::kOut);
  }
  // Or leaves it due, if it is, until somebody claims it.
  static void hand_on(const Due& due) {
    change(*due.node, to_place(due.cell),
           due.node->interval() == 0 ? TimerNode::kDue : TimerNode::kDueAgain);
  }

  struct Claimed {
    bool was_due;
    bool is_armed;  // anew, for its next period
    bool is_earliest;
  };
  // Of what was handed on: turns due into idle, or into armed for the first period that ends after
  // `now`.
  [[nodiscard]] Claimed claim(TimerNode& node, std::int64_t now);

  // The same for a node without a period. False: it has one, or was not due.
  [[nodiscard]] static bool claim_once(TimerNode& node) {
    return change(node, TimerNode::kDue, TimerNode::kOut);
  }

  // At least as early as the earliest deadline. Read without the lock: whoever moves it forward
  // wakes the poll thread afterwards.
  std::int64_t earliest() const { return earliest_.load(std::memory_order_acquire); }

  std::uint64_t size();

  // For the end: takes all out, idle, calls expired() on them, runs nothing for them, and stays
  // empty from now on.
  void close();

 private:
  static bool is_retired(const TimerNode& node) { return node.place() == TimerNode::kRetired; }
  static std::uintptr_t to_place(const TimerCell* cell) {
    return reinterpret_cast<std::uintptr_t>(cell);
  }
  static bool change(TimerNode& node, std::uintptr_t from, std::uintptr_t to) {
    return node.place_.compare_exchange_strong(from, to, std::memory_order_acq_rel,
                                               std::memory_order_acquire);
  }
  bool insert(TimerNode& node, std::int64_t deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  State take_out(TimerNode& node, std::uintptr_t to) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<std::int64_t> earliest_{kNever};  // written under mutex_
  DueList due_;                                 // the leader only

  absl::Mutex mutex_;
  TimerWheel wheel_ ABSL_GUARDED_BY(mutex_);
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_QUEUE_H_
