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

// A TimerQueue holds the timers of a reactor. Any thread arms and cancels them. The leader expires
// them.
//
//            arm                 deadline                claim
//   idle -----------> armed ---------------> due ----------------> idle, or armed if periodic
//     ^                 | cancel              | cancel
//     +-----------------+---------------------+
//
// All changes are made under the lock. The race that this is for: a callback is about to start
// while another thread cancels. The claim and the cancel both take the lock, and the first of them
// wins. The claim of a periodic node arms it again in the same step. A cancel during its callback
// finds it armed, and no thread finds it idle.
class TimerQueue {
 public:
  // The most due nodes that the leader takes at once.
  static constexpr std::size_t kAtOnce = 128;

  enum class State : std::uint8_t { idle, armed, due };

  struct Armed {
    State before;
    bool is_armed;     // after the call
    bool is_earliest;  // the caller must wake the poll thread
  };

  // Arms the node in any state, unless it was disabled. An `interval` of more than 0 makes it
  // periodic. With kNever the node becomes idle. Throws std::bad_alloc, and has then changed
  // nothing.
  [[nodiscard]] Armed arm(TimerNode& node, std::int64_t deadline) {
    return arm(node, deadline, nullptr, 0, /*has_room=*/false);
  }
  [[nodiscard]] Armed arm(PeriodicNode& node, std::int64_t deadline, std::int64_t interval = 0) {
    return arm(node, deadline, &node, interval, /*has_room=*/false);
  }

  // keep_room() keeps room in the queue for one node, until give_room_back(). It throws
  // std::bad_alloc. arm_in_room() arms that node as arm() does, but needs no memory: for a node
  // that waits because there is none.
  void keep_room();
  void give_room_back();
  [[nodiscard]] Armed arm_in_room(TimerNode& node, std::int64_t deadline) {
    return arm(node, deadline, nullptr, 0, /*has_room=*/true);
  }

  // Makes the node idle. Returns its state before.
  State cancel(TimerNode& node) { return make_idle(node, TimerNode::kOut); }

  // As cancel(), and every later arm() does nothing.
  State disable(TimerNode& node) { return make_idle(node, TimerNode::kDisabled); }

  // Any thread, without the lock: the state at this moment.
  static State state(const TimerNode& node);
  static bool is_periodic(const PeriodicNode& node) { return node.is_periodic(); }

  // The leader: takes out at most kAtOnce nodes with deadlines up to `now`, earliest first. Does
  // nothing while nodes of the last call are not popped. A node must live until it is popped and
  // its expired() was called, also if it is cancelled meanwhile.
  void collect(std::int64_t now);
  std::size_t collected() const { return due_count_ - popped_; }

  // The leader: returns the next of those nodes, or null.
  TimerNode* pop() { return collected() > 0 ? due_[popped_++] : nullptr; }

  struct Claimed {
    bool was_due;
    bool is_armed;  // for the next period
    bool is_earliest;
  };
  // Takes the right to call the callback of a due node. The node becomes idle, or armed for the
  // first period that ends after `now`. The result says whether the node was due.
  [[nodiscard]] Claimed claim(PeriodicNode& node, std::int64_t now);

  // The earliest deadline, or a time before it. Any thread, without the lock.
  std::int64_t earliest() const { return earliest_.load(std::memory_order_acquire); }

  std::size_t size();  // the number of armed nodes

  // At the end: takes all nodes out as idle and calls expired() on each. The queue stays empty.
  void close();

 private:
  Armed arm(TimerNode& node, std::int64_t deadline, PeriodicNode* periodic, std::int64_t interval,
            bool has_room);
  State make_idle(TimerNode& node, std::uint32_t place);
  State take_out(TimerNode& node, std::uint32_t place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool insert(TimerNode& node, std::int64_t deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  TimerNode* take_any();

  // See earliest(). Stored under mutex_ (release), loaded by the leader (acquire). The race: a
  // timer is armed while the poll thread falls asleep. The thread that moves earliest_ forward then
  // wakes the poll thread, which looks at earliest_ after it has cleared the wake flag (WakeFlag).
  std::atomic<std::int64_t> earliest_{kNever};

  // The leader only.
  std::array<TimerNode*, kAtOnce> due_;
  std::size_t due_count_ = 0;
  std::size_t popped_ = 0;

  absl::Mutex mutex_;
  TimerHeap heap_ ABSL_GUARDED_BY(mutex_);

  // The periodic nodes that are due. The heap keeps room for them, so that claim() cannot fail.
  std::size_t due_periodic_ ABSL_GUARDED_BY(mutex_) = 0;

  // Of keep_room(). The heap has room for so many nodes beside those of arm().
  std::size_t rooms_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_QUEUE_H_
