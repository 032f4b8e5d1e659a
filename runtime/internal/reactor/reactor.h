#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_REACTOR_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_REACTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/engine/completion_queue.h"
#include "epore/poll/events.h"
#include "epore/poll/poll.h"
#include "epore/poll/waker.h"
#include "epore/runtime/internal/base/counter.h"
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

// A Reactor is a Poll with the thread that blocks in it, and with the registrations and timers that
// the thread serves.
//
// A turn has these parts: wait; note the time; wake what is ready; expire timers; run what was
// submitted; take back what was shared; pass on a shutdown; reclaim what was retired. To wake
// means:
//
// - Dispatch::poll_thread, and everything that is pinned: run it at once.
// - Dispatch::workers: hand the whole batch to the workers.
// - Dispatch::adaptive: run it at once with the lead exposed. A relief can then go on with the turn
//   where a leader is stuck (lead.h). A slow connection is handed over. The rest of a turn is
//   shared if it is worth more than a wake.
//
// docs/design.md describes a turn, docs/dispatch.md the lead and sharing. Comments of a turn say
// "the poll thread" for the thread that leads.
class Reactor {
 public:
  // `selector` as in PollOptions.
  static absl::StatusOr<std::unique_ptr<Reactor>> create(Core& core, int index,
                                                         const std::string& selector);
  ~Reactor();

  // Before start(): lets streams receive by completions, where the engine has them and the poll
  // thread runs every callback. Errors: what the system refuses them with; streams then read.
  absl::Status begin_receives();

  absl::Status start();
  void request_stop();     // any thread: ends the loop when nothing is queued
  bool has_ended() const;  // whether the loop has ended, or has not begun
  void join();

  // Dispatch::caller, instead of the poll thread. The thread that is in the CallerLoop enters,
  // runs turns, and leaves. A turn sleeps until `deadline` at the latest. It returns false when the
  // loop has ended.
  void enter();
  [[nodiscard]] bool turn(std::int64_t deadline);
  void leave();

  // The same thread: lets the bell of the shutdown's gate end the sleep of a turn.
  [[nodiscard]] bool watch_bell(int bell);
  void ignore_bell(int bell);

  // Any thread: lets the thread in the CallerLoop look at its conditions again. If there is none,
  // the next one does, and the exposed descriptor is readable until then.
  void call();

  // The thread in the CallerLoop, before it looks at its conditions.
  void answer() { is_called_.exchange(false, std::memory_order_seq_cst); }

  // Any thread: the descriptor that is readable while a turn would find something, and after the
  // end. From then on leave() keeps it so.
  absl::StatusOr<int> expose_fd();

  // Any thread: when the next turn is due at the latest; 0 if it is due now.
  std::int64_t next_deadline() const;

  // Any thread: lets the leader run it. False, and not taken: the poll thread has ended.
  [[nodiscard]] bool submit(Ref<Runnable>&& runnable);

  // Any thread: the same for a closure. False, and destroyed: the poll thread has ended.
  [[nodiscard]] bool post(std::unique_ptr<PostedClosure> closure);

  // Any thread: makes the leader look at its queues and timers.
  void notify();

  // Any thread: arms a node, and wakes the poll thread if it must now wake up earlier.
  TimerQueue::Armed arm(TimerNode& node, std::int64_t deadline);
  TimerQueue::Armed arm_in_room(TimerNode& node, std::int64_t deadline);  // see TimerQueue
  TimerQueue::Armed arm(PeriodicNode& node, std::int64_t deadline, std::int64_t interval);

  // The registration's order: ends the registration. Its slot is free after the current turn.
  void retire(Registration& registration);

  // Any thread: lets the leader call shut_down(step) for every live registration, soon.
  void request_shutdown(ShutdownStep step);

  // The leader: a number that goes up with the polls. A readiness that existed at number n has been
  // reported, and noted in its registration, at number n + 2.
  std::uint32_t sweeps() const { return sweeps_; }

  // A worker: leads instead of a leader that is stuck under `ticket`, until the poll thread is
  // back. Does nothing if the leader is not stuck any more.
  void relieve(Lead::Ticket ticket);

  // The watchdog, when the leader is stuck. True: the poll thread was waiting for the lead. It is
  // woken, looks at the lead again, and takes it.
  bool call_home();

  // The watchdog.
  std::uint64_t lead_value() const { return lead_.value(); }
  bool is_asleep() const { return wake_flag_.is_asleep(); }
  WatchedThread& watched() { return watched_; }
  WatchedThread* leader() const { return leader_.load(std::memory_order_relaxed); }

  // After join(): reclaims what is left.
  void clear();

  Core& core() const { return core_; }
  const std::shared_ptr<Registry>& registry() const { return registry_; }

  // The poll thread, which runs the streams that use it. Null: streams read.
  CompletionQueue* receives() const { return receives_; }
  bool has_edges() const { return has_edges_; }
  TimerQueue& timers() { return timers_; }
  SlotTable& slots() { return slots_; }

  ListedTimers& listed_timers() { return listed_timers_; }

  // Guards the lists of timers of this reactor's connections.
  absl::Mutex& timer_lists() { return timer_lists_; }

 private:
  Reactor(Core& core, int index, Poll poll, Waker waker);

  static constexpr Token kWakeToken{~std::uint64_t{0}};      // of waker_
  static constexpr Token kBellToken{~std::uint64_t{0} - 1};  // of watch_bell()
  static constexpr Lead::Ticket kNoTicket = 0;               // tickets are odd

  enum class Left : std::uint8_t { relieved, gave_back, ended };

  void begin_thread();
  void loop();
  Left lead(bool is_home);
  bool take_over(Lead::Ticket ticket);

  // The number of a run for WatchedThread: no other reactor and no worker uses the same.
  std::uint64_t name_of(Lead::Ticket ticket) const {
    return ticket | (static_cast<std::uint64_t>(index_) + 1) << 48;
  }
  Ref<ClosureRun> make_closure_run();
  void take_back();
  void give_back();
  [[nodiscard]] bool wait(bool is_home, absl::Duration sleep);
  void poll_failed(const absl::Status& why);
  bool has_work() const;
  absl::Duration time_to_sleep(bool is_home);

  // Parts of a turn. Those that return a bool return false if this thread does not lead any more.
  // Every event takes the path that is inline.
  [[nodiscard]] bool finish_turn();
  [[nodiscard]] bool run_ready();
  [[nodiscard, gnu::always_inline]] bool run_now(Registration& registration);
  [[nodiscard]] bool run_in_order(Registration& member);
  [[nodiscard]] bool run_due();
  Lead::Ticket expose(Runnable& runnable);
  [[nodiscard]] bool resume(Lead::Ticket ticket);
  [[nodiscard]] bool run_expired(TimerNode& node, std::size_t count);
  bool may_run(RuntimeTimer& timer, std::size_t count) const;
  bool take_submitted();
  bool has_submitted() const { return !local_.empty() || !closures_.empty(); }
  [[nodiscard]] bool run_submitted();
  [[nodiscard]] bool run_shared();
  [[nodiscard, gnu::always_inline]] bool run_claimed(Runnable& runnable);
  [[nodiscard]] bool after_run();
  void fetch_next() const;
  void was_relieved(Runnable& runnable, Lead::Ticket ticket);
  void await_kept(Lead::Ticket ticket);
  [[gnu::always_inline]] Registration* take_ready(const Event& event);
  [[gnu::always_inline]] void sample_delay();
  void note_delay();
  void begin_turn();
  void count_sweep();
  bool is_worth_sharing() const;
  void estimate_cost();
  void share_out();
  [[nodiscard]] bool is_sharing_useful();
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
  CompletionQueue* receives_ = nullptr;  // of poll_; since begin_receives()
  Waker waker_;
  WatchedThread watched_;  // the poll thread

  Lead lead_;

  // The thread that took the lead over last. It stores, the watchdog loads, both relaxed: the
  // watchdog only reads the run delay of the thread.
  std::atomic<WatchedThread*> leader_{&watched_};

  // 1 while the poll thread wants the lead back. It parks on this word. The relief that gives the
  // lead back stores 0 (release), and so does the watchdog (acq_rel exchange). The race: a relief
  // goes to sleep while the poll thread begins to wait.
  //
  //   poll thread                              relief
  //   home_waits_ = 1, seq_cst                 clears the wake flag
  //   the lead is exposed? takes it            home_waits_ == 1? gives the lead back
  //   notify(), then parks                     polls
  //
  // The order is that of WakeFlag: either the relief reads 1, or notify() ends its poll().
  std::atomic<std::uint32_t> home_waits_{0};

  // kept_ is the last ticket under which the lead was taken over, once the relief has its reference
  // to the stuck Runnable. keeps_ counts the changes, to park on. The race: a run ends while its
  // leader is being relieved.
  //
  //   relief                                        the leader that was stuck
  //   takes the lead
  //                                                 its run ends; the lead is gone
  //   adds its reference, reads it for the log      (must not drop that reference yet)
  //   kept_ = ticket, release; keeps_ += 1          waits in await_kept(): kept_ >= ticket, acquire
  //
  // Tickets only go up, because the next takeover is by the leader of this one or later. The futex
  // compares keeps_, so a change before the park ends it.
  std::atomic<Lead::Ticket> kept_{0};
  std::atomic<std::uint32_t> keeps_{0};

  // The leader only.
  Poll poll_;
  Events events_;
  std::size_t next_event_ = 0;   // the turn has handled the events before this one
  std::size_t end_event_ = 0;    // and has shared the events from this one on
  std::int64_t turn_began_ = 0;  // after the poll
  std::uint32_t events_to_sample_ = kDelaySample;  // until the next whose queue delay is noted
  Runnable* exposed_ = nullptr;                    // what the leader runs while the lead is exposed
  Runnable* exposed_member_ = nullptr;  // if that is an order: the member that it was claimed for
  Sharing sharing_;
  std::uint32_t sweeps_ = 0;
  std::size_t swept_ = 0;  // the events since sweeps_ last went up
  RunQueue local_;         // submitted, or out of budget in an earlier run
  HandoffList<PostedClosure> closures_;
  Ref<ClosureRun> closure_run_;          // of this leader; a stuck one stays with its thread
  RunQueue batch_;                       // for the workers
  bool has_shared_ = false;              // some shared work may still be there to take back
  std::int64_t turn_deadline_ = kNever;  // of turn()

  // Shared.
  SlotTable slots_;
  TimerQueue timers_;
  RetiredList retired_;
  Inbox inbox_;
  Handoff<PostedClosure> posted_;
  WakeFlag wake_flag_;

  // Requests of the shutdown. Any thread stores true (release) and then calls notify(). The leader
  // loads (acquire) after it has cleared the wake flag. The race: a request comes while the poll
  // thread falls asleep; WakeFlag handles it as it handles a push.
  std::atomic<bool> drain_requested_{false};
  std::atomic<bool> abort_requested_{false};
  std::atomic<bool> stop_requested_{false};

  // The poll thread stores true (release) as its last step and notifies the gate of the shutdown,
  // whose waiter loads (acquire).
  std::atomic<bool> has_ended_{false};

  // Dispatch::caller. Whether a condition of the CallerLoop may have changed since answer(). The
  // race: it changes between the look and the sleep.
  //
  //   thread in the loop                    call()
  //   (1) is_called_ = exchange(false)      (a) the condition changes
  //   (2) looks at the condition            (b) is_called_ = exchange(true)
  //   (3) clears the wake flag              (c) notify()
  //   (4) is_called_? does not sleep
  //
  // (b) and (4) are the push and the look of WakeFlag. If (b) comes before (1), (2) sees (a).
  std::atomic<bool> is_called_{false};

  // Dispatch::caller. Whether a turn has left work for the next one: leave() stores (release), and
  // next_deadline() loads (acquire). Whether the program waits for the descriptor: expose_fd()
  // stores (release) and then wakes, so the turn after that sees it (acquire).
  std::atomic<bool> has_left_work_{false};
  std::atomic<bool> is_fd_exposed_{false};

  ListedTimers listed_timers_;
  absl::Mutex timer_lists_;

  std::unique_ptr<IoBuffers> buffers_;  // the poll thread's, made before it starts

  std::uint64_t thread_ = 0;  // start() and join()
  bool is_started_ = false;
  bool has_thread_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_REACTOR_H_
