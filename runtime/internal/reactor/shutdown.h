#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_SHUTDOWN_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_SHUTDOWN_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/base/gate.h"

namespace epore::internal {

class Core;
enum class ShutdownStep : std::uint8_t;

// A Shutdown is the end of a runtime: its phases, the activities that it waits for, and the threads
// that wait for it.
//
//   running --> draining --no activity is left--> refusing --every post has run--> stopped
//                   |                                |                                ^
//                   +------ deadline, second signal -+--> aborting -------------------+
//
// | phase    | connections                 | posts and timers            | callbacks           |
// |----------|-----------------------------|-----------------------------|---------------------|
// | running  | open                        | accepted                    | begin               |
// | draining | are told, end by themselves | accepted                    | begin               |
// | refusing | none                        | refused; accepted posts run | begin               |
// | aborting | are reset                   | refused; the rest is dropped | none begins, but a  |
// |          |                             |                             | told `closed`, and  |
// |          |                             |                             | that of connect()   |
// | stopped  | none                        | refused                     | none                |
//
// An activity is a listener, an attempt to connect, a connection, or a call of an on_signal
// callback. A lingering activity has no end of its own, as the watch of a descriptor: the shutdown
// ends it when no other one is left. Both are counted in one word. The race that the two words
// phase_ and activities_ are for: an activity begins while the runtime ends.
//
//   begin_activity()                            run()
//   (1) activities + 1                          (a) phase = refusing
//   (2) phase is refusing? then backs out       (b) waits until activities == 0
//
// All four are sequentially consistent. Either (b) sees the activity and waits for it, or (2) sees
// the phase.
//
// Who does not end by being cut off, as a callback that blocks, is waited for. The log says so once
// a second.
//
// Threads: any thread may call any method.
class Shutdown {
 public:
  enum class Phase : std::uint32_t { running, draining, refusing, aborting, stopped };

  explicit Shutdown(Core& core, Kernel& kernel) : core_(core), gate_(kernel) {}
  Shutdown(const Shutdown&) = delete;
  Shutdown& operator=(const Shutdown&) = delete;

  // The current phase. It only goes forward.
  Phase phase() const { return phase_.load(std::memory_order_seq_cst); }

  // Whether callbacks that have not begun are now dropped.
  bool is_cut_off() const { return phase_.load(std::memory_order_acquire) >= Phase::aborting; }

  // Returns false if it is too late to begin an activity.
  bool begin_activity();
  void end_activity();

  // The same for an activity that lingers until Phase::refusing.
  bool begin_lingering();
  void end_lingering();

  // See Runtime::shutdown(). `is_cut_short` is asked while connections drain, also during a
  // shutdown that another thread has begun. `by` is how this thread waits.
  //
  // Requires a reference to the core. Otherwise another thread, whose run() has returned, could
  // drop the last handle while this thread still notifies it.
  absl::Status run(std::int64_t drain_timeout, absl::AnyInvocable<bool()> is_cut_short,
                   Gate::By by = Gate::By::park);

  // Runtime::request_shutdown(). Requires a reference to the core, as above.
  void request();
  bool is_requested() const { return is_requested_.load(std::memory_order_acquire); }

  // Joins the threads of a core that could not start.
  void abandon();

  // -- Dispatch::caller: the thread in the CallerLoop carries a shutdown out, turn by turn. --

  // Begins the shutdown that request() has asked for, unless one has begun.
  void begin_requested();

  // Goes on as far as it can, once a shutdown has begun.
  void advance();

  // When advance() has to be called at the latest. kNever if it has not begun, or is over.
  std::int64_t deadline() const;

  // Notifies the gate, and the thread in the CallerLoop.
  void notify();

  // The gate for waiting until a phase, an activity or a thread has changed.
  Gate& gate() { return gate_; }

 private:
  // What the shutdown waits for.
  enum class Stage : std::uint8_t { serving, draining, emptying, workers, poll_threads, over };

  static constexpr std::uint64_t kActivity = 1;
  static constexpr std::uint64_t kLingering = std::uint64_t{1} << 32;

  bool begin(std::uint64_t activity);
  void end(std::uint64_t activity);
  bool begin_shutdown(std::int64_t drain_timeout);
  bool go_on(absl::FunctionRef<bool()> is_cut_short);
  bool finish_stage(absl::FunctionRef<bool()> is_cut_short);
  bool is_late() const;
  bool is_done_or_cut(bool is_done, absl::FunctionRef<bool()> is_cut_short);
  void enter(Phase phase);
  void wait_for_the_other(absl::AnyInvocable<bool()>& is_cut_short, Gate::By by);
  void cut_off();
  void report_in_time();
  std::string waits_for();
  std::string one_connection();
  void stop_threads();
  bool have_ended() const;
  void tell(ShutdownStep step);
  // The number of activities, without those that linger.
  std::uint64_t active() const { return activities_.load(std::memory_order_seq_cst) % kLingering; }
  bool serves_nobody() const;
  bool only_lingers() const;
  bool is_idle() const;

  Core& core_;
  Gate gate_;
  std::atomic<Phase> phase_{Phase::running};
  std::atomic<std::uint64_t> activities_{0};  // the upper half counts those that linger

  // Requests. A thread sets one (release, acq_rel) and then notifies gate_, whose waiters load them
  // (acquire). The race: a signal comes while another thread shuts down.
  std::atomic<bool> is_requested_{false};
  std::atomic<bool> cut_short_{false};

  // An acq_rel exchange decides between two shutdowns: the first one does it, the others wait.
  std::atomic<bool> has_begun_{false};

  // Written before Phase::draining, and constant from then on.
  std::int64_t began_ = 0;
  std::int64_t deadline_ = kNever;

  // When the log says next what it waits for. Stored before Phase::aborting. From then on a thread
  // that waits, and finds that it is due, takes the line upon itself by moving it (acq_rel).
  std::atomic<std::int64_t> next_report_{kNever};

  // The thread that shuts down; with Dispatch::caller that which is in the CallerLoop.
  Stage stage_ = Stage::serving;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_SHUTDOWN_H_
