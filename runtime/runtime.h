#ifndef EPORE_RUNTIME_RUNTIME_H_
#define EPORE_RUNTIME_RUNTIME_H_

#include <memory>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/runtime/connect_attempt.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/counters.h"
#include "epore/runtime/listener.h"
#include "epore/runtime/options.h"
#include "epore/runtime/order.h"
#include "epore/runtime/report.h"
#include "epore/runtime/timer.h"

namespace epore {

namespace internal {
class Core;
class SignalWaiter;
}  // namespace internal

// Event queues with their poll threads and workers: where connections live and callbacks run.
//
//   epore::Runtime runtime;  // one poll thread, a worker per core
//   auto listener = runtime.listen("127.0.0.1:7000", [](epore::Connection& peer) {
//     peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
//   });
//   if (!listener.ok()) return epore::report(listener.status());
//   runtime.run_until_signal();  // drains on SIGINT and SIGTERM
//
// Threads: every method from any thread; shutdown() and run_until_signal() not from a callback.
// The runtime's own threads block the program's signals (but SIGPROF and those of faults).
//
// Lifetime: handles (Connection, Listener, Timer) may outlive it; their calls then do nothing or
// return a status. The destructor shuts down, with the drain timeout; in a callback of its own it
// ends the program with a message, as it would wait for itself. So does exit() in a callback, if
// the Runtime is static: call request_shutdown() there, and let main() return. Several runtimes in
// a process share nothing. Not to be used in a forked child.
//
// No global side effects: no signal handler unless asked (catch_signals(), run_until_signal()), no
// SIGPIPE, close-on-exec.
//
// See docs/design.md for a turn, docs/threading.md for who may call what from where.
class Runtime {
 public:
  using AcceptCallback = absl::AnyInvocable<void(Connection&)>;
  using ConnectCallback = absl::AnyInvocable<void(absl::StatusOr<Connection>)>;
  using Closure = absl::AnyInvocable<void()>;

  // Starts its threads. What goes wrong (bad options, no descriptors) is in status(): then
  // listen(), post() and run_until_signal() return it, connect() calls back with it, and timers do
  // nothing.
  explicit Runtime(RuntimeOptions options = {});
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Ok, or why it could not start: InvalidArgument for the options, otherwise the system's. Does
  // not change after the constructor: any thread, no lock. A shutdown is not told here.
  absl::Status status() const;

  // Accepts connections on every address that "HOST:PORT" names, see HostPort. Port 0: a free one,
  // the same for all. `on_accept` is the first callback of each connection, in its order; it may be
  // called for several connections at a time. It is destroyed where callbacks run, once the sockets
  // are closed and each connection has had its call; so it may capture a handle of this listener.
  //
  // A name is resolved in this call, which blocks, so from a callback only numbers are taken
  // (FailedPrecondition, also once the shutdown has begun). Other errors: InvalidArgument for a
  // null callback; InvalidArgument, NotFound and Unavailable for a name; those of socket(2),
  // bind(2), listen(2). Then nothing is left open.
  absl::StatusOr<Listener> listen(std::string_view address, AcceptCallback on_accept,
                                  const ListenOptions& options = {});

  // Connects to "HOST:PORT", trying the host's addresses in turn. `on_connected` is called exactly
  // once: with the connection, as the first callback in its order, or with the error:
  // InvalidArgument, NotFound and Unavailable for a name, DeadlineExceeded, ResourceExhausted at
  // the limit of connections, Cancelled by a shutdown or ConnectAttempt::cancel(), or that of the
  // last address. Names are resolved on a thread of their own. The returned handle may be ignored.
  //
  // It is never called inside this call, with one exception: where no thread is left that could,
  // because the runtime could not start (with status()) or is shut down (with Cancelled). If it is
  // null nothing is started, and there is an error in the log.
  ConnectAttempt connect(std::string_view address, ConnectCallback on_connected,
                         const ConnectOptions& options = {});

  // Runs `closure` on a worker (or the poll thread), never inside this call. Closures may run at
  // the same time and in any order; for one at a time, order().
  // Ok is no promise that it runs: a shutdown whose drain timeout is over destroys it instead.
  // FailedPrecondition: the runtime is shut down; the closure is destroyed in this call.
  // InvalidArgument: the closure is null.
  absl::Status post(Closure closure);

  // The same after a delay; cancel it with the returned timer. Once a shutdown refuses posts, or if
  // the runtime could not start, the closure is destroyed in this call, and the timer names none.
  // So it does for a null closure, with an error in the log.
  Timer post_after(absl::Duration delay, Closure closure);

  // A timer, not armed yet. Its callback runs where closures do, one call at a time. Once a
  // shutdown refuses posts: as above, and timers that were made earlier are not called any more.
  Timer timer(Closure callback);

  // Makes an order: callbacks in it never overlap. listen() and connect() take it in their options.
  // After a shutdown its calls are refused; if the runtime could not start it names none. Throws
  // std::bad_alloc: without the order that was asked for callbacks would overlap.
  Order order();

  // Shuts down, from any thread, as often as one likes; returns when no callback runs any more.
  //
  // 1. Listeners accept who waits in their backlogs, and close. Connecting attempts end with
  //    Cancelled.
  // 2. Connections are told (on_drain), or closed gracefully once what has arrived has been read.
  //    Callbacks, posts and timers go on.
  // 3. When no connection is left, posts and new timers are refused, and what was posted before
  //    runs. Timers are dropped.
  // 4. Threads are joined; but one that looks up a name is left behind, as getaddrinfo(3) can be
  //    neither interrupted nor waited for in bounded time. It uses nothing of the runtime any more.
  //    What timers' callbacks have captured is destroyed.
  //
  // Steps 1 to 3 have `drain_timeout`; a second signal ends it early, see run_until_signal(). Then
  // the rest is aborted, and no callback begins any more: this returns when those that run have
  // returned. Posts that were accepted, but have not begun, are destroyed. There are two
  // exceptions: a connection whose first callback has begun still gets its `closed`, and connect()
  // its callback.
  //
  // A `drain_timeout` of zero, or a negative one, aborts at once. A second call waits for the first
  // one's end. FailedPrecondition from a callback, also of on_signal(), as it would wait for
  // itself: request_shutdown() there.
  absl::Status shutdown(absl::Duration drain_timeout);
  absl::Status shutdown();  // with the drain timeout of the options

  // Ends run_until_signal(), now or as soon as it is called. From any thread, callbacks included.
  void request_shutdown();

  // Blocks until SIGINT, SIGTERM or request_shutdown(), then shuts down; a second signal ends the
  // drain timeout, as above. Catches signals, if catch_signals() has not done so before, and lets
  // go of them when it returns. Also ends when another thread shuts down.
  //
  // Errors, all before it waits and without a shutdown: status(); FailedPrecondition from a
  // callback, while another thread is in here or in catch_signals(), or while another runtime of
  // the process catches signals; those of eventfd(2) and sigaction(2).
  absl::Status run_until_signal();

  // Catches SIGINT, SIGTERM and the signals of on_signal() from now on: what comes is kept until
  // run_until_signal() looks. For programs that tell others that they are there, who may signal at
  // once:
  //
  //   if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  //   std::printf("LISTEN %s\n", listener->address().to_string().c_str());
  //   return epore::report(runtime.run_until_signal());
  //
  // The handlers that were there before come back when run_until_signal() returns, or else with the
  // runtime's destruction. By one runtime of the process at a time (FailedPrecondition, also while
  // another thread is in run_until_signal()); again: nothing. Other errors: status(), those of
  // eventfd(2) and sigaction(2).
  absl::Status catch_signals();

  // Has run_until_signal() call `callback`, on its own thread, whenever `signal` comes, until the
  // draining ends; several that come before it looks are one. Replaces the callback that was set
  // before.
  //
  // InvalidArgument: a null callback, a signal not from 1 to 64, or SIGINT, SIGTERM, SIGKILL,
  // SIGSTOP. FailedPrecondition: signals are being caught already. What else the system refuses (32
  // and 33 are glibc's) is an error of whoever catches.
  absl::Status on_signal(int signal, Closure callback);

  // What it has done so far, also after the shutdown. From any thread, without stopping anybody; it
  // adds up what each thread has counted, some thousand loads, takes one lock for each reactor and
  // allocates: for a log or a scrape, not for every message.
  Counters counters() const;

 private:
  // Calls that another thread's return may end the runtime under hold what they work in.
  const internal::Ref<internal::Core> core_;
  const std::shared_ptr<internal::SignalWaiter> signals_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_RUNTIME_H_
