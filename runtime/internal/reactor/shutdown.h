#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_SHUTDOWN_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_SHUTDOWN_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/base/gate.h"

namespace epore::internal {

class Core;
enum class ShutdownStep : std::uint8_t;

// The end of a runtime: its phases, the activities that it waits for, and the threads that wait.
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
// callback. What races a phase:
//
//   begin_activity()                            run()
//   (1) activities + 1                          (a) phase = refusing
//   (2) phase is refusing? then back out        (b) waits for activities == 0
//
// All four are sequentially consistent: either (b) waits for the activity or (2) sees the phase.
//
// Threads: every method from any.
class Shutdown {
 public:
  enum class Phase : std::uint32_t { running, draining, refusing, aborting, stopped };

  explicit Shutdown(Core& core, Kernel& kernel) : core_(core), gate_(kernel) {}
  Shutdown(const Shutdown&) = delete;
  Shutdown& operator=(const Shutdown&) = delete;

  // Only goes forward.
  Phase phase() const { return phase_.load(std::memory_order_seq_cst); }

  // Whether callbacks that have not begun are dropped.
  bool is_cut_off() const { return phase_.load(std::memory_order_acquire) >= Phase::aborting; }

  // False: it is too late to begin one.
  bool begin_activity();
  void end_activity();

  // See Runtime::shutdown(). `is_cut_short` is asked while connections drain, also while those of a
  // shutdown drain that another thread has begun; this thread waits in the way given.
  //
  // The caller has a reference to the core: another thread whose run() has returned may drop the
  // last handle before this one has notified it.
  absl::Status run(std::int64_t drain_timeout, absl::AnyInvocable<bool()> is_cut_short,
                   Gate::By by = Gate::By::park);

  // Runtime::request_shutdown(); the caller has a reference, as above.
  void request();
  bool is_requested() const { return is_requested_.load(std::memory_order_acquire); }

  // For a core that could not start: joins the threads that it has.
  void abandon();

  // For waiting until a phase, an activity or a thread has changed; whoever changes one notifies.
  Gate& gate() { return gate_; }

 private:
  // How the one thread that shuts down waits.
  struct Waiting {
    std::int64_t deadline;
    absl::FunctionRef<bool()> is_cut_short;
    Gate::By by;
  };

  void enter(Phase phase);
  void wait_for_the_other(absl::AnyInvocable<bool()>& is_cut_short, Gate::By by);
  void await(absl::FunctionRef<bool()> is_done, const Waiting& waiting);
  void cut_off();
  void stop_threads(const Waiting& waiting);
  void tell(ShutdownStep step);
  bool is_idle() const { return activities_.load(std::memory_order_seq_cst) == 0; }

  Core& core_;
  Gate gate_;
  std::atomic<Phase> phase_{Phase::running};
  std::atomic<std::uint64_t> activities_{0};
  std::atomic<bool> is_requested_{false};  // set before gate_ is notified
  std::atomic<bool> has_begun_{false};     // the first to set it shuts down, others wait
  std::atomic<bool> cut_short_{false};     // by one of the others; set before gate_ is notified
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_SHUTDOWN_H_
