#ifndef EPORE_RUNTIME_OPTIONS_H_
#define EPORE_RUNTIME_OPTIONS_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/address.h"
#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/order_option.h"

namespace epore {

class Kernel;

// The threads that run callbacks. docs/dispatch.md has the details.
enum class Dispatch {
  // The poll thread, as long as that is cheapest. Workers run slow connections, and share a turn
  // that
  // is worth more than a wake. They take over while the poll thread is stuck in a callback.
  adaptive,

  // Worker threads. The poll thread never runs user code, so no callback can stop it.
  workers,

  // The poll thread. One slow callback holds up all the others. With one reactor, all callbacks run
  // on one thread.
  poll_thread,

  // A thread of the program, while it is in Runtime::run_once() or run_until(), or in a call that
  // waits for something of the runtime. The runtime starts no thread for callbacks, so it can be a
  // guest in another loop (docs/guide/embedding.md). Requires `reactors` to be 1.
  caller,
};

// The names are "adaptive", "workers", "poll_thread" and "caller". parse_dispatch() returns no
// value for any other name.
std::optional<Dispatch> parse_dispatch(std::string_view name);
std::string_view dispatch_name(Dispatch dispatch);

// The options of a Runtime. The defaults suit a service.
//
//   epore::Runtime runtime({.reactors = 2, .drain_timeout = absl::Seconds(30)});
struct RuntimeOptions {
  // The number of poll threads, 1 to 1024. Each has an event queue and connections of its own.
  int reactors = 1;

  // The number of threads that run callbacks at a time, at most 1024, for all reactors together. 0
  // means one for each core. Dispatch::adaptive counts the poll threads among them, except for slow
  // connections. Dispatch::poll_thread and Dispatch::caller ignore it.
  int workers = 0;

  // The number of additional workers that start when callbacks block, at most 1024.
  // Dispatch::poll_thread and Dispatch::caller ignore it.
  int spare_workers = 16;

  // The log names a callback that holds its thread for so long, while it runs or sleeps. The time
  // in which it waits for a processor, or for a lock that another callback holds, does not count.
  // Zero or infinite: the log is silent; not negative. Not used by Dispatch::poll_thread and
  // Dispatch::caller.
  absl::Duration blocked_callback_warning = absl::Milliseconds(100);

  Dispatch dispatch = Dispatch::adaptive;

  // The first part of the names of the runtime's threads: "epore-poll0", "epore-worker3". The
  // system cuts a name to 15 characters. Not empty.
  std::string thread_name = "epore";

  // Are called on each thread that the runtime starts, with its name: the first before any callback
  // and the last after all of them. For the affinity or the priority of threads, or for a profiler.
  // Several threads call them at the same time. They may not wait for the runtime. What they throw
  // is counted and logged. Threads that look up names call neither: a shutdown may leave them
  // behind. With Dispatch::caller only the threads of blocking() call them.
  internal::Hook<void(std::string_view name)> on_thread_start = {};
  internal::Hook<void(std::string_view name)> on_thread_stop = {};

  // The name of the engine, as in PollOptions::selector. The system may refuse "io_uring" (a
  // seccomp filter, an old kernel, no memory). The runtime then takes epoll, the log says so once,
  // and Counters::selector_reason says why. With Dispatch::poll_thread and Linux 6.1 its ring also
  // receives for TCP connections, so that they need no recv(2); see docs/io-uring.md. Where the
  // system refuses that, they read, and selector_reason says why.
  std::string selector = {};

  // If true, a refused engine is an error of Runtime::status() instead.
  bool require_selector = false;

  // The most connections at a time, accepted and connected together. 0 means no limit but that of
  // descriptors. At the limit listeners pause, and clients wait in the backlog. connect() then gets
  // ResourceExhausted.
  std::size_t max_connections = 0;

  // How many bytes the write queues of all connections may have together; 0 means no limit. Each
  // queue counts in steps of 4 KiB. Shared bytes (Bytes) do not count, as many queues may have the
  // same ones, and a part of a file counts 128 bytes.
  //
  // Above half of it no connection has a high mark above 4 KiB, and each has a low mark of 0. So
  // reading pauses, write() waits, and send() returns `high`, until its queue is empty. Above all
  // of it a connection whose queue grows beyond its share is reset with ResourceExhausted. The
  // share is max_queued_bytes divided by the number of open connections. Queues that have grown
  // while there were fewer connections may have more than that, and stay until they grow again. So
  // above twice of it each connection whose queue grows by a step is reset, however small it is.
  std::size_t max_queued_bytes = std::size_t{1024} * 1024 * 1024;

  // The most calls of blocking() without a lane that wait while all of its eight threads are taken,
  // those of read_file() and write_file() included. Beyond it they end with ResourceExhausted at
  // once, and what has begun or waits goes on. A lane has its own limit, LaneOptions::queue.
  std::size_t blocking_queue = 100'000;

  // Names and their addresses, for tests of a service without a network: connect() and listen()
  // find these names here, and ask the system for all others. A port of 0 is the one that is asked
  // for. A name without addresses is not known (NotFound). Upper and lower case are the same.
  //
  //   epore::Runtime runtime({.hosts = {{"db.example", {"[::1]:5433", "127.0.0.1:5433"}},
  //                                     {"gone.example", {}}}});
  std::map<std::string, std::vector<std::string>> hosts = {};

  // The most events of one poll, 1 to 1,048,576. It bounds a turn.
  std::size_t events_per_poll = 1024;

  // The time that run_until_signal(), shutdown() and the destructor give connections to finish.
  // Zero gives them none, and infinite gives them as long as they take. Not negative.
  absl::Duration drain_timeout = absl::Seconds(10);

  // The way to the operating system. Null means the real one, with counts for this runtime alone.
  // For tests: ManualClock::kernel() and FaultyNetwork::kernel(), in epore/runtime/testing. It must
  // outlive the runtime, all its handles, and the threads that shutdown() leaves behind.
  Kernel* kernel = nullptr;

  // Checks the values; the constructor of Runtime does so as well (Runtime::status()). Errors:
  // InvalidArgument, which names the first value that is out of its range, and the range.
  absl::Status check() const;
};

// The options of a connection, whichever side opened it.
//
// A timeout is more than zero and infinite when it is off, unless its comment says otherwise. It
// counts from the end of the callbacks that were running. Everything that has come in time is read
// first, however late this side looks.
struct ConnectionOptions {
  bool no_delay = true;  // TCP_NODELAY, tcp(7); a Unix socket has neither it nor keep_alive

  // SO_KEEPALIVE, socket(7): finds peers that are gone without a word. Without a value accepted
  // connections have it, as they take it from their listener at no cost, and others do not.
  std::optional<bool> keep_alive = std::nullopt;

  // These turn keep_alive on: the idle time before the first probe, the time between probes, and
  // the number of probes without an answer that end the connection with ETIMEDOUT. Zero means what
  // the system is set to, which is hours. Up to 32,767 s, in whole seconds, and 127 probes. See
  // TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT, tcp(7).
  absl::Duration keep_alive_idle = absl::ZeroDuration();
  absl::Duration keep_alive_interval = absl::ZeroDuration();
  int keep_alive_probes = 0;

  // The time that sent bytes may be without an acknowledgement of the peer's system, before the
  // connection ends with ETIMEDOUT. Up to 24 days, in milliseconds. Infinite means what the system
  // is set to. With keep_alive it decides instead of keep_alive_probes. See TCP_USER_TIMEOUT,
  // tcp(7), RFC 5482.
  absl::Duration user_timeout = absl::InfiniteDuration();

  // The sizes of the buffers of the socket, in bytes: SO_SNDBUF and SO_RCVBUF, socket(7). Zero
  // leaves them to the system, which adapts those of TCP to the connection. Accepted Unix sockets
  // have what the system gives them.
  int send_buffer = 0;
  int receive_buffer = 0;

  // The class of what is sent, 0 to 255: IP_TOS, ip(7), and IPV6_TCLASS, ipv6(7). TCP keeps the
  // last two bits, which are for congestion (RFC 3168), to itself.
  std::optional<int> traffic_class = std::nullopt;

  // Is called with each socket before it is bound or connected, for options that have no name here,
  // such as SO_MARK or SO_BINDTODEVICE. (An inherited one is bound already.) An accepted socket of
  // TCP has those of its listener. An error ends the listen(), or the attempt to connect. It may
  // not keep or close the descriptor. A function or a lambda without captures.
  absl::Status (*on_socket)(int fd) = nullptr;

  // Closes the connection with DeadlineExceeded after this time without a byte in or out. While
  // reading is paused, bytes of the peer that wait in the system count: the peer is held up and not
  // idle. Without on_data they do not count.
  absl::Duration idle_timeout = absl::InfiniteDuration();

  // Resets the connection with DeadlineExceeded after this time in which the peer took no queued
  // byte.
  absl::Duration write_stall_timeout = absl::Seconds(60);

  // The time that a graceful close waits for the peer's end of file, after ours was sent. May be
  // zero. Infinite waits until it comes.
  absl::Duration linger_timeout = absl::Seconds(5);

  // The marks of the write queue, in bytes; low <= high <= cap. Above `write_high_mark` send()
  // returns `high`. When the queue then falls to `write_low_mark`, on_writable is called. A send()
  // beyond `write_cap` resets the connection with ResourceExhausted.
  std::size_t write_high_mark = 256 * 1024;
  std::size_t write_low_mark = 64 * 1024;
  std::size_t write_cap = 64 * 1024 * 1024;

  // Pauses reading above `write_high_mark` until the queue is at `write_low_mark`. A peer that
  // sends but does not read is then held up, and needs no more memory here. If false, only
  // pause_reading() pauses.
  bool pause_reading_above_high_mark = true;

  // The most descriptors of a peer (SCM_RIGHTS) that wait for Connection::take_descriptors(), 0 to
  // 65,536, of a connection over a Unix socket. A peer that sends more ends it with
  // ResourceExhausted. With 0 nobody asks for them, and the system closes those that a peer sends.
  std::size_t max_descriptors = 0;

  bool has_keep_alive_times() const;

  // Checks the values; listen() and connect() do so as well. Errors: InvalidArgument.
  absl::Status check() const;
};

// The options of Runtime::listen() and of the connections that it accepts.
struct ListenOptions {
  int backlog = 4096;              // at least 1; the system has a limit, listen(2)
  bool reuse_port = false;         // SO_REUSEPORT: other processes may share the port
  std::size_t accept_budget = 64;  // the most connections that one turn accepts

  // The most connections of this listener at a time, so that its clients leave room for other
  // listeners and for connect(). At the limit it pauses, as for RuntimeOptions::max_connections. 0
  // means no limit.
  std::size_t max_connections = 0;

  ConnectionOptions connection = {};

  // The permissions of the file of a Unix socket, such as 0660, less those of the process's umask.
  // Who connects needs the right to write. Without them: everybody, less the umask.
  std::optional<unsigned> unix_mode = std::nullopt;

  // The order of all callbacks of all its connections, from Runtime::order(). If it names none,
  // each connection has an order of its own. An order of another runtime is InvalidArgument.
  OrderOption order = {};

  // Checks the values, those of `connection` included; listen() does so as well. Errors:
  // InvalidArgument.
  absl::Status check() const;
};

// The options of Runtime::connect() and of the connection that it makes.
struct ConnectOptions {
  // The time for everything: resolving the name, and trying its addresses. More than zero. Infinite
  // waits as long as the system tries.
  absl::Duration timeout = absl::Seconds(30);

  // After this time without an answer the next address is tried as well, and the first one that
  // connects wins (RFC 8305, 5; its name for it and its default). After a failure the next one is
  // tried at once. At least 10 ms. Infinite tries one address after the other.
  absl::Duration connection_attempt_delay = absl::Milliseconds(250);

  // The most addresses that are tried, 1 to 1000, of a name or of a span. Each may have a socket of
  // its own.
  std::size_t max_addresses = 16;

  // The address of this end: of one of this machine's interfaces, with a port or with 0 for a free
  // one. Addresses of the other family are then not tried, and InvalidArgument if there is no
  // other. Without it the system chooses. An address of a Unix socket is InvalidArgument.
  SocketAddress local = {};

  ConnectionOptions connection = {};
  OrderOption order = {};  // as in ListenOptions; the callback of connect() runs in it as well

  // Checks the values, those of `connection` included; connect() does so as well. Errors:
  // InvalidArgument.
  absl::Status check() const;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_OPTIONS_H_
