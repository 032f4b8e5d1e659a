#ifndef EPORE_RUNTIME_TESTING_MANUAL_CLOCK_H_
#define EPORE_RUNTIME_TESTING_MANUAL_CLOCK_H_

#include <chrono>
#include <memory>

#include "absl/time/time.h"

namespace epore {

class Kernel;

namespace internal {
class ManualKernel;
}

// A ManualClock is the time of a runtime in a test. It stands still until advance(), for
// timers, sleep_for(), within(), and every timeout of a connection, a connect or a shutdown. So a
// test of an hour takes no time, and passes or fails every time.
//
//   epore::ManualClock clock;
//   epore::Runtime runtime({.kernel = clock.kernel()});
//   auto listener = runtime.listen("127.0.0.1:0", serve, idle_after(absl::Seconds(30)));
//   ...                                 // a client connects, and asks something
//   clock.advance(absl::Seconds(29));   // nothing happens
//   clock.advance(absl::Seconds(1));    // now the connection is closed
//
// Not of its time: what the program asks of the system itself (absl::Now(), std::chrono, sleep()),
// the peer's process, the timeouts of name servers, and the lock of a Unix socket's directory.
//
// Threads: any thread may call any method.
//
// Lifetime: it must outlive the runtimes that it is given to, their handles, and threads that a
// shutdown leaves behind. Its destructor waits for those. Several runtimes may share it.
//
// Edges. Guaranteed: advance() goes from deadline to deadline, so a timer that arms another one, or
// a period, has its turns as in real time. What callbacks of a runtime see of the time is the same
// on every machine. Not covered: bytes on their way between two sockets. TCP on the loopback takes
// them through at once nearly always, Unix sockets always. So a test waits for an answer before it
// advances the clock, and for what a peer is to see after that.
//
// No limit hangs. A thread of the program cannot advance the clock while it waits with a limit: in
// shutdown(), in ~Runtime, or in a loop of Dispatch::caller that has a limit or a timer. If nobody
// else moves the clock for ten seconds of real time, it goes on by itself, from deadline to
// deadline, until that wait is over. The log says so. A runtime with threads of its own may be shut
// down on the thread that made the clock, or advanced it last. Then it is one second, and no log.
// A wait without a limit, as with an infinite drain timeout, is for somebody who does advance it.
//
// Runtimes use epoll or poll(2) here: io_uring is refused to them
// (RuntimeOptions::require_selector).
//
// A runtime also watches by this clock for callbacks that block (docs/dispatch.md). So a callback
// must not wait for another callback of the same runtime in such a test, except with
// Dispatch::workers and enough workers.
class ManualClock {
 public:
  // Starts at the present time.
  ManualClock();

  // As above, for a runtime whose other system calls go to `inner`, such as a
  // FaultyNetwork::kernel(). Borrowed: it must outlive the clock.
  explicit ManualClock(Kernel* inner);

  ~ManualClock();
  ManualClock(const ManualClock&) = delete;
  ManualClock& operator=(const ManualClock&) = delete;

  // For RuntimeOptions::kernel or PollOptions::kernel. It lives as long as the clock.
  Kernel* kernel() const;

  // Moves the clock by `time`, and returns when the runtime has done all that was due on the way,
  // and what this has caused (await_idle()). `time` is finite and not negative.
  //
  // With Dispatch::caller the runtime does nothing outside of its loop. There the clock moves in
  // one step, and the next turns (run_once(), run_until()) do what is due. A closed connection
  // takes several turns. From a callback of the runtime it only moves the clock.
  void advance(absl::Duration time);

  // Returns when every thread of the runtime sleeps, and has no reason to wake up before somebody
  // sends something or the clock moves. From a callback it returns at once. The log says so if that
  // takes more than ten seconds of real time: a callback may be waiting for the test.
  void await_idle();

  // The time, as sleep_until() and at() take it.
  std::chrono::steady_clock::time_point now() const;

 private:
  const std::unique_ptr<internal::ManualKernel> kernel_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_TESTING_MANUAL_CLOCK_H_
