#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_REACTOR_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_REACTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/events.h"
#include "epore/poll/poll.h"
#include "epore/poll/waker.h"
#include "epore/runtime/internal/base/handoff.h"
#include "epore/runtime/internal/dispatch/lead.h"
#include "epore/runtime/internal/dispatch/run_queue.h"
#include "epore/runtime/internal/dispatch/wake_flag.h"
#include "epore/runtime/internal/dispatch/watched_thread.h"
#include "epore/runtime/internal/reactor/listed_timers.h"
#include "epore/runtime/internal/reactor/registration.h"
#include "epore/runtime/internal/reactor/retired_list.h"
#include "epore/runtime/internal/reactor/sharing.h"
#include "epore/runtime/internal/reactor/slot_table.h"
#include "epore/runtime/internal/timers/timer_queue.h"
#include "epore/runtime/options.h"

namespace epore::internal {

class ClosureRun;
class Core;
class RuntimeTimer;
struct IoBuffers;
struct PostedClosure;

// A Poll, the thread that blocks in it, and the registrations and timers that it serves.
//
// A turn: wait; note the time; wake what is ready; expire timers; run what was submitted; take back
// what was shared; tell of a shutdown; reclaim what was retired. Waking means running at once for
// Dispatch::poll_thread and what is pinned, and for Dispatch::workers handing the whole batch over.
// See docs/design.md.
//
// For Dispatch::adaptive it means running at once as well, but with the lead exposed, so that a
// relief can go on with the turn where a stuck leader has left it; handing over what is known to be
// slow; and sharing the rest if it is worth more than a wake. See Lead and docs/dispatch.md.
//
// Where a part of a turn is said to be the poll thread's, the thread that leads is meant.
class Reactor {
 public:
  static absl::StatusOr<std::unique_ptr<Reactor>> create(Core& core, int index);
  ~Reactor();

  absl::Status start();
  void request_stop();     // ends the loop once nothing is queued; from any thread
  bool has_ended() const;  // or has not begun; rings the gate of the shutdown
  void join();

  // Any thread: has it run by the leader. False, and not taken: the poll thread has gone.
  [[nodiscard]] bool submit(Ref<Runnable>&& runnable);

  // Any thread: the same for a closure. False, and destroyed: the poll thread has gone.
  [[nodiscard]] bool post(std::unique_ptr<PostedClosure> closure);

  // Any thread: makes the leader look at its queues and timers.
  void notify();

  // Any thread: arms a node, and tells the poll thread if it must wake up earlier now.
  TimerQueue::Armed arm(TimerNode& node, std::int64_t deadline, std::int64_t interval = 0);

  // The registration's order: its slot may be reused after the current turn.
  void retire(Registration& registration);

  // Any thread: has the leader call shut_down(step) on every live registration, soon.
  void request_shutdown(ShutdownStep step);

  // The leader: goes up with each poll. What was ready when it was n has been told, and noted in
  // its registration, once it is n + 2 at least.
  std::uint32_t sweeps() const { return sweeps_; }

  // A worker: leads in the place of a leader that is stuck under `ticket`, if it still is, until
  // the poll thread comes back.
  void relieve(Lead::Ticket ticket);

  // The watchdog, when the leader is stuck: true if the poll thread is free, and waits to lead. It
  // then looks again, and takes the lead itself.
  bool call_home();

  // The watchdog.
  std::uint64_t lead_value() const { return lead_.value(); }
  bool is_asleep() const { return wake_flag_.is_asleep(); }
  WatchedThread& watched() { return watched_; }
  WatchedThread* leader() const { return leader_.load(std::memory_order_relaxed); }

  // After join(): the last reclaim.
  void clear();

  Core& core() const { return core_; }
  const std::shared_ptr<Registry>& registry() const { return registry_; }
  bool has_edges() const { return has_edges_; }
  TimerQueue& timers() { return timers_; }
  SlotTable& slots() { return slots_; }

  ListedTimers& listed_timers() { return listed_timers_; }

  // Guards the lists of timers of this reactor's connections.
  absl::Mutex& timer_lists() { return timer_lists_; }

 private:
  Reactor(Core& core, int index, Poll poll, Waker waker);

  static constexpr Token kWakeToken{~std::uint64_t{0}};  // the waker's
  static constexpr Lead::Ticket kNoTicket = 0;           // tickets are odd

  enum class Left : std::uint8_t { relieved, gave_back, ended };

  void loop();
  Left lead(bool is_home);
  bool take_over(Lead::Ticket ticket);

  // For WatchedThread: neither another reactor's nor one of the numbers that workers give.
  std::uint64_t name_of(Lead::Ticket ticket) const {
    return ticket | (static_cast<std::uint64_t>(index_) + 1) << 48;
  }
  Ref<ClosureRun> make_closure_run();
  void take_back();
  void give_back();
  void poll_failed(const absl::Status& why);
  absl::Duration time_to_sleep(bool is_home);

  // Parts of a turn; where they return a bool, false: this thread does not lead any more.
  [[nodiscard]] bool finish_turn();
  [[nodiscard]] bool run_ready();
  [[nodiscard]] bool run_now(Registration& registration);
  [[nodiscard]] bool run_due();
  Lead::Ticket expose(Runnable& runnable);
  [[nodiscard]] bool resume(Lead::Ticket ticket);
  [[nodiscard]] bool run_expired(TimerNode& node, std::size_t count);
  bool may_run(RuntimeTimer& timer, std::size_t count) const;
  bool take_submitted();
  bool has_submitted() const { return !local_.empty() || !closures_.empty(); }
  [[nodiscard]] bool run_submitted();
  [[nodiscard]] bool run_shared();
  [[nodiscard]] bool run_claimed(Runnable& runnable);
  [[nodiscard]] bool after_run();
  void was_relieved(Runnable& runnable, Lead::Ticket ticket);
  void await_kept(Lead::Ticket ticket);
  Registration* take_ready(const Event& event);
  void begin_turn();
  void count_sweep();
  bool is_worth_sharing() const;
  void estimate_cost();
  void share_out();
  bool is_shutdown_asked() const {
    return drain_requested_.load(std::memory_order_acquire) ||
           abort_requested_.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool shut_down_live();
  void reclaim();

  // Constant after construction.
  Core& core_;
  const int index_;
  const std::shared_ptr<Registry> registry_;
  const bool has_edges_;
  const Dispatch dispatch_;
  Waker waker_;
  WatchedThread watched_;  // the poll thread

  Lead lead_;
  std::atomic<WatchedThread*> leader_{&watched_};  // the last that took the lead over; relaxed

  // 1: the poll thread wants the lead back, and parks on this. Its store comes before its look at
  // the lead, and a notify() follows; the relief looks after it has cleared the wake flag, as it
  // does at the queues. So either the poll thread finds the lead exposed or who leads finds this.
  std::atomic<std::uint32_t> home_waits_{0};

  // The last ticket that was taken over, stored when take_over() has its reference to what ran
  // under it; and a count to park on. Goes up, as the next one comes from the leader that stored
  // it.
  //
  //   relief                                        the leader that was stuck
  //   takes the lead
  //                                                 its run ends; the lead is gone
  //   adds its reference, reads it for the log      (drops that reference: not there yet)
  //
  // So the latter waits, see await_kept(). Stored with release, loaded with acquire: what the
  // reference was added to is seen. The count goes up after the store, and the futex compares.
  std::atomic<Lead::Ticket> kept_{0};
  std::atomic<std::uint32_t> keeps_{0};

  // The leader only.
  Poll poll_;
  Events events_;
  std::size_t next_event_ = 0;  // of the turn; those before have been seen to
  std::size_t end_event_ = 0;   // and those behind have been shared
  std::uint32_t sweeps_ = 0;
  std::size_t swept_ = 0;  // events since sweeps_ last went up
  RunQueue local_;         // submitted, or with budget left over
  HandoffList<PostedClosure> closures_;
  Ref<ClosureRun> closure_run_;  // nobody else's; one that is stuck stays with its thread
  RunQueue batch_;               // for the workers
  Runnable* exposed_ = nullptr;  // what it runs while its lead is exposed
  Sharing sharing_;
  bool has_shared_ = false;  // some of it may still be there to be taken back

  // Shared.
  SlotTable slots_;
  TimerQueue timers_;
  RetiredList retired_;
  Inbox inbox_;
  Handoff<PostedClosure> posted_;
  WakeFlag wake_flag_;

  // Stored before a notify(), as what is pushed; loaded by the leader, after it allowed to be
  // woken.
  std::atomic<bool> drain_requested_{false};
  std::atomic<bool> abort_requested_{false};
  std::atomic<bool> stop_requested_{false};

  std::atomic<bool> has_ended_{false};  // stored by the poll thread before it notifies the gate

  ListedTimers listed_timers_;
  absl::Mutex timer_lists_;

  std::unique_ptr<IoBuffers> buffers_;  // the poll thread's, made before it starts

  std::uint64_t thread_ = 0;  // start() and join()
  bool is_started_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_REACTOR_H_
