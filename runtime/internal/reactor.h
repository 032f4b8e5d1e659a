#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "poll/events.h"
#include "poll/poll.h"
#include "poll/waker.h"
#include "runtime/internal/registration.h"
#include "runtime/internal/retired_list.h"
#include "runtime/internal/run_queue.h"
#include "runtime/internal/slot_table.h"
#include "runtime/internal/timer_queue.h"
#include "runtime/internal/wake_flag.h"

namespace epore::internal {

class Core;

// A Poll, the thread that blocks in it, and the registrations and timers that it serves.
//
// A turn: wait; note the time; wake what is ready; expire timers; run what was submitted; reclaim
// what was retired. Waking means running at once for Dispatch::poll_thread and what is pinned,
// otherwise handing the whole batch to the workers. See docs/design.md.
class Reactor {
 public:
  static absl::StatusOr<std::unique_ptr<Reactor>> create(Core& core, int index);
  ~Reactor();

  absl::Status start();
  void request_stop();  // ends the loop once nothing is queued; from any thread
  void join();

  // Any thread: runs it on the poll thread. False, and not taken: the poll thread has gone.
  [[nodiscard]] bool submit(Ref<Runnable>&& runnable);

  // Any thread: makes the poll thread look at its queues and timers.
  void notify();

  // Any thread: arms a node, and tells the poll thread if it must wake up earlier now.
  TimerQueue::Armed arm(TimerNode& node, std::int64_t deadline, std::int64_t interval = 0);

  // The registration's order: its slot may be reused after the current turn.
  void retire(Registration& registration);

  // Any thread: calls shut_down(step) on every live registration, on the poll thread, soon.
  void request_shutdown(ShutdownStep step);

  // After join(): the last reclaim.
  void clear();

  Core& core() const { return core_; }
  const std::shared_ptr<Registry>& registry() const { return registry_; }
  bool has_edges() const { return has_edges_; }
  TimerQueue& timers() { return timers_; }
  SlotTable& slots() { return slots_; }

  // Guards the lists of timers of this reactor's connections.
  absl::Mutex& timer_lists() { return timer_lists_; }

 private:
  Reactor(Core& core, int index, Poll poll, Waker waker);

  void loop();
  absl::Duration time_to_sleep();
  void wake_ready();
  void run_now(Runnable& runnable);
  void run_submitted();
  void shut_down_live();
  void reclaim();

  // Constant after construction.
  Core& core_;
  const int index_;
  const std::shared_ptr<Registry> registry_;
  const bool has_edges_;
  const bool runs_callbacks_;
  Waker waker_;

  // The poll thread only.
  Poll poll_;
  Events events_;
  RunQueue local_;  // submitted, or with budget left over
  RunQueue batch_;  // for the workers

  // Shared.
  SlotTable slots_;
  TimerQueue timers_;
  RetiredList retired_;
  Inbox inbox_;
  WakeFlag wake_flag_;
  std::atomic<bool> drain_requested_{false};
  std::atomic<bool> abort_requested_{false};
  std::atomic<bool> stop_requested_{false};
  absl::Mutex timer_lists_;

  std::uint64_t thread_ = 0;  // start() and join()
  bool is_started_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_H_
