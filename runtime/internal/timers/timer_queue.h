#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_QUEUE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/timers/timer_heap.h"
#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// A reactor's timers. Any thread arms and cancels them, the leader expires them.
//
//            arm                 deadline                claim
//   idle -----------> armed ---------------> due ----------------> idle, or armed if periodic
//     ^                 | cancel              | cancel
//     +-----------------+---------------------+
//
// All changes are made under the lock. A claim decides the race between a callback that is about to
// start and a cancel: the first of them wins. The claim of a periodic node arms it anew, so that a
// cancel during its callback finds it armed, and no thread ever finds it idle.
class TimerQueue {
 public:
  // The leader takes so many due nodes at once.
  static constexpr std::size_t kAtOnce = 128;

  enum class State : std::uint8_t { idle, armed, due };

  struct Armed {
    State before;
    bool is_armed;     // now
    bool is_earliest;  // the poll thread must be told
  };

  // Arms the node, whatever its state, but not if it was retired; with an interval, again and
  // again. kNever is just as idle. Throws std::bad_alloc, and has done nothing then.
  [[nodiscard]] Armed arm(TimerNode& node, std::int64_t deadline, std::int64_t interval = 0);

  // Makes it idle; returns what it was.
  State cancel(TimerNode& node) { return make_idle(node, TimerNode::kOut); }

  // The same, and for good: nothing arms it from now on.
  State retire(TimerNode& node) { return make_idle(node, TimerNode::kRetired); }

  // Any thread, without the lock.
  static State state(const TimerNode& node);
  static bool is_periodic(const TimerNode& node) { return node.is_periodic(); }

  // The leader: takes out the earliest kAtOnce nodes with deadlines up to `now`, if it has popped
  // all that it took out before. A node must live until it is popped and told by expired(), also if
  // it is cancelled meanwhile.
  void collect(std::int64_t now);
  std::size_t collected() const { return due_count_ - popped_; }

  // The next of them, earliest first, or null.
  TimerNode* pop() { return collected() > 0 ? due_[popped_++] : nullptr; }

  struct Claimed {
    bool was_due;
    bool is_armed;  // anew, for its next period
    bool is_earliest;
  };
  // Turns due into idle, or into armed for the first period that ends after `now`.
  [[nodiscard]] Claimed claim(TimerNode& node, std::int64_t now);

  // At least as early as the earliest deadline. Read without the lock: whoever moves it forward
  // wakes the poll thread afterwards.
  std::int64_t earliest() const { return earliest_.load(std::memory_order_acquire); }

  std::size_t size();  // of those that are armed

  // For the end: takes all out, idle, calls expired() on them, runs nothing for them, and stays
  // empty from now on.
  void close();

 private:
  State make_idle(TimerNode& node, std::uint32_t place);
  State take_out(TimerNode& node, std::uint32_t place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool insert(TimerNode& node, std::int64_t deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  TimerNode* take_any();

  std::atomic<std::int64_t> earliest_{kNever};  // written under mutex_

  // The leader only.
  std::array<TimerNode*, kAtOnce> due_;
  std::size_t due_count_ = 0;
  std::size_t popped_ = 0;

  absl::Mutex mutex_;
  TimerHeap heap_ ABSL_GUARDED_BY(mutex_);
  std::size_t due_periodic_ ABSL_GUARDED_BY(mutex_) = 0;  // their claims find room in the heap
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_QUEUE_H_
