#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_CALLER_LOOP_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_CALLER_LOOP_H_

#include <atomic>
#include <cstdint>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/base/gate.h"

namespace epore::internal {

class Core;
class Reactor;

// A CallerLoop is the loop of a runtime with Dispatch::caller. The runtime has no poll thread: a
// thread of the program enters the loop, runs turns, and leaves it. The next turns may be those of
// another thread.
//
// A call that waits for something of the runtime, such as Job::wait(), runs the loop meanwhile. If
// another thread is in the loop, the call waits for that thread. If that thread leaves, the call
// takes its place, so no call depends on turns that nobody runs.
//
// is_entered_ is true while a thread is in the loop. It enters by an exchange (acquire) and leaves
// by a store (release), so that the next thread sees what belongs to the leader. waiters_ counts
// the threads that wait for the thread in the loop; all accesses are acq_rel read-modify-writes.
//
//   thread in the loop                    thread that waits
//   (1) makes a condition true,           (a) waiters += 1
//       or leaves the loop                (b) seen = word of the gate
//   (2) waiters += 0; not 0?              (c) looks at the condition and at is_entered_
//       notifies the gate                 (d) parks while the word is `seen`
//
// If (2) comes after (a), it notifies, which ends (d). Otherwise (a) synchronises with (2), and (c)
// sees what came before (1).
class CallerLoop {
 public:
  explicit CallerLoop(Core& core) : core_(core) {}
  CallerLoop(const CallerLoop&) = delete;
  CallerLoop& operator=(const CallerLoop&) = delete;

  // Runtime::run_once(), run_until(), poll_fd(), poll_timeout(). Requires a reference to the core.
  absl::Status run_once(std::int64_t limit);
  absl::Status run_until(absl::FunctionRef<bool()> condition, std::int64_t limit);
  absl::StatusOr<int> poll_fd();
  std::int64_t poll_timeout() const;  // ns, kNever for no limit

  // Waits as Gate::wait() does, on `gate` if the runtime has threads.
  bool wait(Gate& gate, absl::FunctionRef<bool()> condition, std::int64_t deadline = kNever,
            Gate::By by = Gate::By::park);

  // Any thread, after it has changed what a thread in the loop waits for: ends the sleep of that
  // thread, or makes the next turn come at once.
  void wake();

 private:
  class Entry;

  bool is_on() const;
  bool is_over() const;
  Reactor& reactor() const;
  absl::Status check(std::string_view call) const;
  bool drive(absl::FunctionRef<bool()> condition, std::int64_t deadline, Gate::By by,
             bool begins_shutdown);
  void turn(std::int64_t deadline, Gate::By by);
  void notify_waiters(Gate::By by);

  Core& core_;
  std::atomic<bool> is_entered_{false};
  std::atomic<std::uint32_t> waiters_{0};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_CALLER_LOOP_H_
