#ifndef EPORE_RUNTIME_RUNTIME_H_
#define EPORE_RUNTIME_RUNTIME_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/poll/interest.h"
#include "epore/runtime/address.h"
#include "epore/runtime/async_event.h"
#include "epore/runtime/async_mutex.h"
#include "epore/runtime/blocking.h"
#include "epore/runtime/bound_task.h"
#include "epore/runtime/channel.h"
#include "epore/runtime/child.h"
#include "epore/runtime/completion.h"
#include "epore/runtime/connect.h"
#include "epore/runtime/connect_attempt.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/connection_info.h"
#include "epore/runtime/counters.h"
#include "epore/runtime/file.h"
#include "epore/runtime/group.h"
#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/job.h"
#include "epore/runtime/join.h"
#include "epore/runtime/lane.h"
#include "epore/runtime/latch.h"
#include "epore/runtime/listener.h"
#include "epore/runtime/on.h"
#include "epore/runtime/once.h"
#include "epore/runtime/options.h"
#include "epore/runtime/order.h"
#include "epore/runtime/ready.h"
#include "epore/runtime/report.h"
#include "epore/runtime/resolve.h"
#include "epore/runtime/semaphore.h"
#include "epore/runtime/signal.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/splice.h"
#include "epore/runtime/task.h"
#include "epore/runtime/timer.h"
#include "epore/runtime/udp.h"
#include "epore/runtime/until.h"
#include "epore/runtime/watch.h"
#include "epore/runtime/whole_file.h"
#include "epore/runtime/within.h"

namespace epore {

namespace internal {
class Core;
class Destination;
class SignalWaiter;
}  // namespace internal

// A Runtime is a set of event queues with their poll threads and workers. Connections live in it,
// and callbacks run on its threads. It is not a singleton: several runtimes in a process share
// nothing.
//
//   epore::Runtime runtime;  // one poll thread, a worker per core
//   auto listener = runtime.listen("127.0.0.1:7000", [](epore::Connection& peer) {
//     peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
//   });
//   if (!listener.ok()) return epore::report(listener.status());
//   return epore::report(runtime.run_until_signal());  // drains on SIGINT and SIGTERM
//
// Threads: any thread may call any method. shutdown() and run_until_signal() may not be called from
// a callback. The runtime's own threads block the program's signals, except SIGPROF and faults. A
// child process that a callback starts inherits that: see signals.h.
//
// Lifetime: handles (Connection, Listener, Timer, Order) may outlive the Runtime. Their calls then
// do nothing or return a status. The destructor shuts down with the drain timeout. In a callback of
// its own it would wait for itself, so it ends the program with a message. So does exit() in a
// callback, if the Runtime is static: call request_shutdown() there, and let main() return. A
// forked child has no threads of a Runtime. There its calls return FailedPrecondition, and the
// destructor does nothing; connections and other handles must not be used. A child that a callback
// forks must end in it, by execve(2) or _exit(2); one that returns is ended with a message.
//
// Edges. Guaranteed: no global side effects. There is no signal handler unless the program asks for
// one (catch_signals(), run_until_signal()), no SIGPIPE, and every descriptor is close-on-exec.
//
// See docs/design.md for a turn, docs/threading.md for threads, docs/errors.md for failures.
class Runtime {
 public:
  // A callback that is null, or an empty std::function, is none: each call says what it does then.
  using AcceptCallback = absl::AnyInvocable<void(Connection&)>;
  using Handler = absl::AnyInvocable<Task<>(Connection)>;
  using ConnectCallback = absl::AnyInvocable<void(absl::StatusOr<Connection>)>;
  using Closure = absl::AnyInvocable<void()>;

  // Starts the threads. If that fails, status() has the error: bad options, no descriptors, no
  // memory. Then listen(), post() and run_until_signal() return it, connect() calls back with it,
  // and timers do nothing.
  explicit Runtime(RuntimeOptions options = {});
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Ok, or the error of the constructor: InvalidArgument for the options, otherwise that of the
  // system. It never changes, a shutdown included, except to FailedPrecondition in a forked child.
  // Needs no lock.
  absl::Status status() const;

  // Accepts connections on every address that "HOST:PORT" names (see HostPort), or at a Unix
  // socket: "unix:/run/x.sock", "unix:@name" (see SocketAddress). Port 0 is a free port, the same
  // for all addresses.
  //
  // A Unix socket's file that a process has left behind is taken over, if nobody listens there. To
  // see that, this connects to it. The file is removed when the listener closes, unless another one
  // is in its place by then. docs/guide/unix-sockets.md has the details.
  //
  // "inherited:NAME" are the sockets of that name that a service manager has opened (LISTEN_FDS),
  // and "inherited:" all of them. NotFound without them: docs/guide/service-manager.md.
  //
  // "fd://N" is a socket of the program that listens, with the descriptor N: one that it got from
  // another process (Connection::take_descriptors()). This listens at a duplicate. N stays the
  // program's, who may close it, and becomes non-blocking and close-on-exec. The file of a Unix
  // socket is not removed. InvalidArgument if it is no stream socket that listens.
  //
  // `on_accept` is the first callback of each connection, in the connection's order. Several
  // connections may call it at the same time. It is destroyed where callbacks run, when the sockets
  // are closed and each connection has had its call. So it may capture a handle of this listener.
  //
  // A name is resolved in this call, which blocks. From a callback only numbers are accepted.
  // Errors: FailedPrecondition for a name in a callback, and once a shutdown has begun;
  // InvalidArgument for a null callback; InvalidArgument, NotFound and Unavailable for the address;
  // those of socket(2), bind(2) and listen(2). After an error nothing is left open.
  absl::StatusOr<Listener> listen(std::string_view address,
                                  internal::Callable<AcceptCallback> on_accept,
                                  const ListenOptions& options = {});

  // Accepts connections as above, and serves each with a coroutine:
  //
  //   auto listener = runtime.listen(":7000", [](epore::Connection peer) -> epore::Task<> {
  //     while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  //   });
  //
  // `handler` is called in the order of each connection, several at the same time, and lives until
  // the last coroutine that it has made has ended. When its coroutine ends, the connection is
  // closed gracefully. If it ends with an error, the connection is aborted with that error. The
  // OutOfRange of read_until() and read_exactly() of this connection is none if no byte is left:
  // the peer has ended behind a whole message, and the connection is closed gracefully.
  // Counters::handler_errors counts each. The log has one a second at most, for all runtimes of the
  // process, and none of a handler whose connection had failed before. Cancelled is no error here.
  //
  // A handler with a reference to the connection does not compile: what it refers to would end
  // before the coroutine.
  template <typename F>
  requires(internal::MakesTask<F, Connection> || internal::MakesTask<F, Connection&>)
      absl::StatusOr<Listener> listen(std::string_view address, F handler,
                                      const ListenOptions& options = {}) {
    static_assert(internal::kIsHandler<F>,
                  "a coroutine handler takes its epore::Connection by value and returns "
                  "epore::Task<>");
    if constexpr (!internal::kIsHandler<F>) {
      return Listener();
    } else if constexpr (internal::kIsStdFunction<F>) {
      return listen_with(address, handler ? Handler(std::move(handler)) : Handler(), options);
    } else if constexpr (internal::ShowsParameter<F>) {
      // No Handler is moved here: gcc 12 warns of that with -O2 -Wall where F has no captures.
      return listen_with(address, Handler(std::move(handler)), options);
    } else {
      return listen_with(address, internal::KeepsConnection<F>(std::move(handler)), options);
    }
  }

  // Listens as above, for tasks that accept the connections: see Listener::accept().
  absl::StatusOr<Listener> listen(std::string_view address, const ListenOptions& options = {});

  // Connects to "HOST:PORT" or to a Unix socket. Names are resolved on threads of their own. The
  // addresses of a name race, so that a silent one holds nobody up (ConnectOptions). The returned
  // handle can cancel the attempt, and may be ignored.
  //
  // `on_connected` is called exactly once. It gets the connection, as the first callback in the
  // connection's order, or an error: InvalidArgument, NotFound and Unavailable for the address;
  // DeadlineExceeded; ResourceExhausted at max_connections; Cancelled by a shutdown or by
  // ConnectAttempt::cancel(); or the error of the address, of the last one if there are several.
  // Its text then names each address and its error.
  //
  // It is not called inside this call, with one exception. If no thread is left for it, because the
  // runtime could not start (status()) or is shut down (Cancelled), or no memory
  // (ResourceExhausted), this call calls it. If it is null, nothing is started, and there is an
  // error in the log.
  ConnectAttempt connect(std::string_view address, internal::Callable<ConnectCallback> on_connected,
                         const ConnectOptions& options = {});

  // Connects as above to the first of several addresses that answers, which race as those of a name
  // do: the families take turns. They are copied in this call. InvalidArgument without addresses,
  // for an empty one, and for a Unix socket that is not the only one.
  ConnectAttempt connect(std::span<const SocketAddress> addresses,
                         internal::Callable<ConnectCallback> on_connected,
                         const ConnectOptions& options = {});

  // Runs `closure` on a worker or the poll thread, never inside this call. Closures run in any
  // order, also at the same time; order() is for closures that must not. Ok is no promise: a
  // shutdown whose drain timeout has passed destroys closures that have not begun. Errors:
  // FailedPrecondition if the runtime is shut down; InvalidArgument if the closure is null;
  // ResourceExhausted without memory. Then it is destroyed in this call.
  absl::Status post(internal::Callable<Closure> closure);

  // Runs `closure` as post() does, after `delay`. The returned timer can cancel it. If post() would
  // return an error, the closure is destroyed in this call, and the timer names none. For a null
  // closure there is an error in the log.
  Timer post_after(absl::Duration delay, internal::Callable<Closure> closure);

  // Makes a timer, which is not armed. Its callback runs where posted closures do, one call at a
  // time. If post() would return an error, the timer names none. Timers made earlier do not fire
  // any more once a shutdown refuses posts.
  Timer timer(internal::Callable<Closure> callback);

  // Calls `callback` as long as the descriptor `fd` is ready for a direction of `interest`, until
  // Watch::cancel(); watch.h has an example. It borrows the descriptor, which somebody else owns:
  // cancel the watch before closing it. The trigger of `interest` does not matter. Calls do not
  // overlap; with `order` they run in it. The first one may begin before this returns.
  //
  // Errors, after which nothing is watched: PermissionDenied (EPERM) for a file or a directory,
  // which is always ready; AlreadyExists while this runtime watches `fd`; FailedPrecondition for a
  // number that is not open (EBADF), and once a shutdown refuses posts; InvalidArgument for a null
  // callback or another runtime's order; ResourceExhausted.
  absl::StatusOr<Watch> watch(int fd, Interest interest,
                              internal::Callable<Watch::Callback> callback,
                              const Order& order = {});

  // Opens a UDP socket on "IPV4:PORT" or "[IPV6]:PORT", which are numbers; udp.h has an example.
  // Port 0 is a free one, "[::]" both families, and "" any address, for a socket with
  // UdpOptions::peer. The second one calls `on_receive` with what comes; with the first one
  // coroutines receive.
  //
  // Errors: InvalidArgument for the address, the options, a null callback and another runtime's
  // order; those of socket(2), setsockopt(2), bind(2) and connect(2); FailedPrecondition once a
  // shutdown refuses posts; ResourceExhausted.
  absl::StatusOr<UdpSocket> udp(std::string_view address, const UdpOptions& options = {});
  absl::StatusOr<UdpSocket> udp(std::string_view address,
                                internal::Callable<UdpSocket::Callback> on_receive,
                                const UdpOptions& options = {});

  // Opens a Unix datagram socket at "unix:/run/x.sock" or "unix:@name", as udp() opens one of UDP.
  // "" is a free abstract name, for who only asks. A file that a process has left behind is taken
  // over, and the file is removed with the socket, as by listen().
  //
  // Errors: those of udp(); InvalidArgument for the options that are of IP; AlreadyExists if
  // somebody has the file, or it is no socket.
  absl::StatusOr<UnixDatagramSocket> unix_datagram(std::string_view address,
                                                   const UdpOptions& options = {});
  absl::StatusOr<UnixDatagramSocket> unix_datagram(
      std::string_view address, internal::Callable<UnixDatagramSocket::Callback> on_receive,
      const UdpOptions& options = {});

  // Starts a program as a child process; child.h has an example. A name without a
  // slash is looked for in PATH. The call waits until the program runs, so its errors are known.
  // The callback, which may be null, is called once when the child has ended. It and the pipes are
  // in `order`, or in one of the child's own.
  //
  // Errors, after which no child is left: InvalidArgument for the command and the options; those of
  // execve(2), such as NotFound (ENOENT) and PermissionDenied (EACCES), chdir(2), clone(2) and
  // socketpair(2), which the text names; FailedPrecondition once a shutdown refuses posts;
  // Unimplemented (ENOSYS) before Linux 5.9. Each pipe is a connection: at max_connections the
  // error is ResourceExhausted, before the program runs.
  absl::StatusOr<Child> start_child(const Command& command, const ChildOptions& options = {},
                                    internal::Callable<Child::Callback> on_exit = nullptr,
                                    const Order& order = {});

  // Makes a lane of threads for blocking(). Errors: InvalidArgument for the options,
  // FailedPrecondition if the runtime is shut down, ResourceExhausted without memory.
  absl::StatusOr<Lane> lane(const LaneOptions& options = {});

  // Makes an order: callbacks in it never overlap. listen() and connect() take it in their options.
  // After a shutdown its calls are refused; if the runtime could not start it names none. If there
  // is no memory for it, all that takes it says so (ResourceExhausted), so that no callback
  // overlaps for want of an order.
  Order order();

  // Starts function(arguments...), which makes a Task<>, in an order of its own. The function and
  // copies of the arguments (references by std::ref, as for std::thread) live until the task has
  // ended. The task begins soon, and never inside this call. An argument that is a view does not
  // compile, as what it shows may be gone then: pass a std::string or Bytes. Literals are right.
  //
  //   epore::Job job = runtime.spawn(refresh, std::ref(cache));
  //
  // If the task cannot be started, because the runtime is shut down or without memory, the job has
  // ended with that error. The log has the error of a task whose status nobody looks at, one line a
  // second at most, for all runtimes of the process. A stop is no error.
  template <typename F, typename... Args>
  requires internal::TaskFunction<F, Args...> Job spawn(F&& function, Args&&... arguments) {
    static_assert((internal::kLasts<Args> && ...),
                  "a view may end before the task: pass a std::string or epore::Bytes");
    return start_task(nullptr, std::forward<F>(function), std::forward<Args>(arguments)...);
  }

  // As spawn(), in `order`: with other tasks, connections and timers of that order one at a time.
  // The job has ended with FailedPrecondition if `order` names none.
  template <typename F, typename... Args>
  requires internal::TaskFunction<F, Args...> Job spawn_in(const Order& order, F&& function,
                                                           Args&&... arguments) {
    static_assert((internal::kLasts<Args> && ...),
                  "a view may end before the task: pass a std::string or epore::Bytes");
    return start_task(&order, std::forward<F>(function), std::forward<Args>(arguments)...);
  }

  // Starts a task as spawn() does, waits for its end, and returns its status or value: for main()
  // and tests. The function may return a Task<T>. Errors: those of the task, and FailedPrecondition
  // from a callback or a task, where it would wait for itself. Then nothing is started.
  template <typename F, typename... Args>
  auto run(F&& function, Args&&... arguments) {
    static_assert(
        !internal::kIsTask<std::remove_cvref_t<F>>,
        "give run() the function and its arguments: run(work, text), not run(work(text))");
    static_assert(internal::kIsTask<std::remove_cvref_t<F>> || internal::MakesTaskOf<F, Args...>,
                  "run() takes a function that returns an epore::Task, and arguments for it");
    if constexpr (internal::MakesTaskOf<F, Args...>) {
      return run_task(std::forward<F>(function), std::forward<Args>(arguments)...);
    } else {
      return absl::OkStatus();
    }
  }

  // Shuts down. Any thread may call it, any number of times. It returns when no callback runs any
  // more.
  //
  // 1. Listeners accept their backlogs and close. Attempts to connect end with Cancelled.
  // 2. Connections are told (on_drain), or are closed gracefully once everything that has arrived
  //    has been read. Callbacks, posts and timers go on.
  // 3. When no connection is left, posts and new timers are refused. Earlier posts run. Timers are
  //    dropped.
  // 4. Threads are joined, and the captures of timers' callbacks are destroyed. A thread that looks
  //    up a name is left behind: getaddrinfo(3) can neither be interrupted nor waited for in
  //    bounded time. It uses nothing of the runtime any more.
  //
  // Steps 1 to 3 have `drain_timeout` together. A second signal ends it early (run_until_signal()).
  // Then the rest is aborted and no callback begins any more, so this returns when the callbacks
  // that run have returned. Meanwhile the log says once a second what it waits for. Posts that have
  // not begun are destroyed. There are two exceptions: a connection whose first callback has begun
  // still gets its on_closed, and connect() its callback.
  //
  // With a `drain_timeout` of zero or less everything is aborted at once. A second call waits for
  // the end of the first. Ok says that the runtime is shut down, also if that has aborted
  // something: counters(), after this call, have the connections that were cut off
  // (Counters::connections_cut_off). Errors: FailedPrecondition from a callback, on_signal()
  // included, where it would wait for itself; call request_shutdown() there.
  absl::Status shutdown(absl::Duration drain_timeout);
  absl::Status shutdown();  // with the drain timeout of the options

  // Ends run_until_signal(), now or as soon as it is called. Callbacks may call it as well.
  void request_shutdown();

  // Blocks until SIGINT, SIGTERM or request_shutdown(), and then shuts down. A second signal ends
  // the drain timeout early. It catches signals, unless catch_signals() has done so, and restores
  // the earlier handlers when it returns. It also returns when another thread has shut down.
  //
  // Errors come before it waits, and without a shutdown: status(); FailedPrecondition from a
  // callback, while another thread is in this call or in catch_signals(), or while another runtime
  // of the process catches signals; those of eventfd(2) and sigaction(2).
  absl::Status run_until_signal();

  // Does what run_until_signal() does, and tells the service manager that has started this process,
  // if it asks (NOTIFY_SOCKET): that the service is ready, now; that it stops, when the shutdown
  // begins; and with WatchdogSec= in its unit (WATCHDOG_USEC), that callbacks run, twice in each
  // such time. Listen before this call. docs/guide/service-manager.md has the details.
  //
  // Errors: those of run_until_signal(); InvalidArgument for variables that make no sense; that it
  // cannot be told that the service is ready. Later ones are in the log.
  absl::Status run_service();

  // Catches SIGINT, SIGTERM and the signals of on_signal() from now on. They are kept until
  // run_until_signal() looks. This is for a program that tells others that it is there, and may get
  // a signal at once:
  //
  //   if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  //   std::printf("LISTEN %s\n", listener->address().to_string().c_str());
  //   return epore::report(runtime.run_until_signal());
  //
  // The earlier handlers come back when run_until_signal() returns, or with the destructor. A
  // second call does nothing. Errors: FailedPrecondition while another runtime of the process
  // catches signals, or another thread is in run_until_signal(); status(); those of eventfd(2) and
  // sigaction(2).
  absl::Status catch_signals();

  // Lets run_until_signal() call `callback` on its own thread when `signal` comes, until draining
  // ends. Several signals that come before it looks are one call. Replaces an earlier callback.
  //
  // SIGINT and SIGTERM need no callback. If they are ignored when catching begins, as by nohup(1)
  // or in a background job of a shell, they stay ignored. A signal with a callback is caught in any
  // case. Blocked signals are unblocked for the waiting thread while it waits.
  //
  // Errors: InvalidArgument for a null callback, for a signal not from 1 to 64, for SIGINT,
  // SIGTERM, SIGKILL and SIGSTOP, and for faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS,
  // SIGABRT); FailedPrecondition if signals are being caught. Signals that only the system refuses
  // (32 and 33 are glibc's) are errors of catch_signals() and run_until_signal().
  absl::Status on_signal(int signal, internal::Callable<Closure> callback);

  // As above, for tasks: see Signal::wait(). Both may be set for a signal.
  absl::StatusOr<Signal> on_signal(int signal);

  // -- Dispatch::caller: the loop runs on threads of the program. --
  //
  // These calls and those that wait for something of the runtime (run(), Job::wait(), shutdown(),
  // run_until_signal(), the destructor, ...) run the loop. One thread at a time is in it. A call
  // that waits, while another thread is in the loop, waits for that thread. A call of run_once() or
  // run_until() is then an error. All other calls may come from any thread at any time.

  // Runs one turn on this thread: waits until something is ready, for at most `limit`, and runs
  // the callbacks that are due. With a `limit` of zero it does not wait. A turn may find nothing.
  //
  // It carries out a shutdown that shutdown() or request_shutdown() has begun. Errors: Cancelled
  // when the runtime is shut down, and nothing is left to run; FailedPrecondition from a callback
  // (of any runtime), while another thread is in the loop, or without Dispatch::caller; status().
  absl::Status run_once(absl::Duration limit = absl::InfiniteDuration());

  // Runs turns, at least one, until `condition()` is true, which is asked before each. It may not
  // wait for the runtime. What makes it true without a callback must also wake the loop, by post().
  // What it throws comes out of here. Errors: DeadlineExceeded after `limit`; those of run_once().
  absl::Status run_until(absl::FunctionRef<bool()> condition,
                         absl::Duration limit = absl::InfiniteDuration());

  // The descriptor for a loop in which this one is a guest. It is readable while run_once() would
  // find something ready, and after a shutdown. Only time does not make it readable: poll_timeout()
  // knows when the next timer is due. Wait for it level-triggered, and do nothing else with it. It
  // is the same for the life of the runtime. Errors: FailedPrecondition without Dispatch::caller;
  // Unimplemented if the engine is poll(2) or io_uring, which have no descriptor: there, call
  // run_once() with a limit; status().
  absl::StatusOr<int> poll_fd();

  // How long the host loop may wait for poll_fd(): until the next timer, zero if there is work, and
  // infinite if there is neither. Ask after each run_once(); whatever makes it shorter later makes
  // poll_fd() readable. Round it up, or the host loop turns in vain.
  absl::Duration poll_timeout() const;

  // Returns what the runtime has counted so far, also after a shutdown. It stops no thread. It adds
  // up the counts of each thread, some thousand loads, takes one lock for each reactor and each
  // thread that runs callbacks, and allocates. So it is for a log or a scrape, and not for every
  // message.
  Counters counters() const;

  // Returns a text about all tasks: what each of their coroutines waits for, since when, and where
  // in the program. For a service that is stuck:
  //
  //   absl::Status set = runtime.on_signal(
  //       SIGUSR1, [&] { std::cerr << runtime.dump_tasks().value_or("?"); });
  //
  //   tasks: 1
  //   a task
  //     proxy.cc:31 epore::Task<> serve(epore::Connection), for 12.5s: all
  //       proxy.cc:20 epore::Task<> pump(...), for 12.5s: Connection::read
  //       proxy.cc:21 epore::Task<> pump(...), for 1.2s: Connection::write
  //
  // A coroutine is on the line below the one that awaits it. Times are cached ones, so they may be
  // a little too long. Each task writes its own part, in its order. This waits for that, but at
  // most for `limit`; a task that has not answered by then is running, and has one line.
  //
  // Threads: any but those of the runtime, on_signal() callbacks included. Errors:
  // FailedPrecondition from a callback or a task, where tasks would wait for it; ResourceExhausted
  // without memory; status().
  absl::StatusOr<std::string> dump_tasks(absl::Duration limit = absl::Milliseconds(200)) const;

  // Returns what the open connections do and wait for, the oldest first, at most `most` of them:
  // for a service that leaks connections, or has one that is stuck. Those that close are among
  // them. There are none from the end of the drain of a shutdown on.
  //
  // It waits for no thread and stops none, and connections pay nothing until it is called. It looks
  // at one after the other, so two of them may be a moment apart: one may have handed its bytes to
  // the other meanwhile, and be here with the old number and the other one with the new. If a
  // thread is in a connection, it looks again behind the others. If one still is, or is in its
  // order, ConnectionInfo::is_known is false: that is how a stuck one looks. Otherwise it holds the
  // connection for the time of some loads. An event that comes just then is handed to the
  // connection's thread afterwards, as one by a worker is.
  //
  // Threads: any, callbacks and tasks included. It takes the lock of each reactor's table for 64
  // connections at a time, in which no system call is made, and makes some allocations. Its time
  // grows with the number of connections, also of those that are left out. Errors:
  // ResourceExhausted without memory; status().
  absl::StatusOr<std::vector<ConnectionInfo>> connections(std::size_t most = 1000) const;

  // Returns the same as a text:
  //
  //   connections: 1002
  //   connection 7 (peer 10.0.0.2:40312, local 10.0.0.1:80), for 12.5s: read by a task at ...
  //   connection 8 (peer 10.0.0.2:40314, local 10.0.0.1:80), for 12s: reading is paused, ...
  //   ...
  //   ... 2 younger ones
  absl::StatusOr<std::string> dump_connections(std::size_t most = 1000) const;

 private:
  absl::StatusOr<Listener> listen_with(std::string_view address, Handler handler,
                                       const ListenOptions& options);
  absl::StatusOr<Listener> listen_now(std::string_view address, AcceptCallback on_accept,
                                      bool has_tasks, const ListenOptions& options);
  absl::Status check_callback(std::string_view address, bool is_null) const;
  ConnectAttempt connect_to(const internal::Destination& to, ConnectCallback on_connected,
                            const ConnectOptions& options);
  absl::Status check_run() const;
  // `order` is null for one of the task's own.
  Job start_job(const Order* order,
                absl::FunctionRef<std::unique_ptr<internal::TaskStart>()> make_start);

  template <typename F, typename... Args>
  Job start_task(const Order* order, F&& function, Args&&... arguments) {
    return start_job(order, [&] {
      return internal::make_task_start(std::forward<F>(function), std::forward<Args>(arguments)...);
    });
  }

  // It waits, so arguments may be views.
  template <typename F, typename... Args>
  auto run_task(F&& function, Args&&... arguments) {
    using T = typename internal::TaskOf<F, Args...>::ValueType;
    if (absl::Status bad = check_run(); !bad.ok()) return internal::ResultType<T>(std::move(bad));
    if constexpr (std::is_void_v<T>) {
      return start_task(nullptr, std::forward<F>(function), std::forward<Args>(arguments)...)
          .wait();
    } else {
      std::optional<T> value;
      internal::BoundTaskOf<F, Args...> bound(std::forward<F>(function),
                                              std::forward<Args>(arguments)...);
      // spawn() keeps the lambda until the task has ended.
      // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines)
      auto call = [&value, &bound]() -> Task<> { value.emplace(co_await bound()); };
      absl::Status status = spawn(std::move(call)).wait();
      return status.ok() ? absl::StatusOr<T>(*std::move(value))
                         : absl::StatusOr<T>(std::move(status));
    }
  }

  // Shared: another thread may destroy the Runtime while a call is about to return, so the call
  // holds a reference to what it uses.
  // Null if the constructor found no memory.
  const std::shared_ptr<internal::SignalWaiter> signals_;
  const internal::Ref<internal::Core> core_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_RUNTIME_H_
