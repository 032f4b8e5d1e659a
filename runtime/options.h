#ifndef EPORE_RUNTIME_OPTIONS_H_
#define EPORE_RUNTIME_OPTIONS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/order.h"

namespace epore {

class Kernel;

// Who runs callbacks.
enum class Dispatch {
  // The poll thread, as long as that is cheapest: workers take over while it is stuck in a
  // callback, share what is more work than it costs to wake them, and run what is known to be slow.
  adaptive,
  workers,      // worker threads; the poll thread never runs user code, so none can stop it
  poll_thread,  // the poll thread itself: one slow callback holds up all the others
};

// "adaptive", "workers", "poll_thread", as flags spell them; no value for anything else.
std::optional<Dispatch> parse_dispatch(std::string_view name);
std::string_view dispatch_name(Dispatch dispatch);

// How a Runtime is made. The defaults serve.
struct RuntimeOptions {
  // Poll threads, each with an event queue and connections of its own; 1 to 1024.
  int reactors = 1;

  // Threads that run callbacks at a time, shared by all reactors, at most 1024; 0: one per core.
  // Dispatch::adaptive counts the poll threads among them, but for callbacks known to be slow.
  // Not used by Dispatch::poll_thread.
  int workers = 0;

  // So many more workers at the most, started when callbacks block: see docs/dispatch.md. At most
  // 1024; not used by Dispatch::poll_thread, where nobody stands in.
  int spare_workers = 16;

  Dispatch dispatch = Dispatch::adaptive;

  // The event queue's engine: "epoll" or "poll"; empty: EPORE_SELECTOR or the best (PollOptions).
  std::string selector;

  // Connections at a time, accepted and connected together; 0: as many as there are descriptors.
  // At the limit listeners pause, and clients wait in the backlog; connect() gets
  // ResourceExhausted.
  std::size_t max_connections = 0;

  // Events taken by one poll, which bounds a turn; 1 to 1,048,576.
  std::size_t events_per_poll = 1024;

  // How long run_until_signal(), shutdown() and the destructor let connections finish. Zero: not at
  // all; infinite: as long as it takes; not negative.
  absl::Duration drain_timeout = absl::Seconds(10);

  // The way to the operating system; null: the real one, counted for this runtime alone. For
  // epore's own tests, which alone see its header. Must outlive the runtime, every handle to
  // something of it, and threads that shutdown() leaves behind.
  Kernel* kernel = nullptr;

  // InvalidArgument names the first value that is out of its range, and the range. The runtime
  // itself asks: Runtime::status().
  absl::Status check() const;
};

// How a connection behaves, whichever side opened it. Timeouts are more than zero, and off when
// infinite, where nothing else is said.
struct ConnectionOptions {
  bool no_delay = true;     // TCP_NODELAY, see tcp(7)
  bool keep_alive = false;  // SO_KEEPALIVE, see socket(7)

  // No byte in or out for this long closes the connection with DeadlineExceeded. While reading is
  // paused, bytes of the peer's that wait to be read count as if they came: then the peer is held
  // up, not idle. Bytes that nobody listens to (no on_data) do not count. Like all timeouts here it
  // counts from the end of the callbacks that were running, and what has come in time is read
  // first, however late this side looks.
  absl::Duration idle_timeout = absl::InfiniteDuration();

  // Queued bytes of which the peer takes none for this long abort it with DeadlineExceeded.
  absl::Duration write_stall_timeout = absl::Seconds(60);

  // How long a graceful close waits for the peer's end of file after ours was sent. May be zero;
  // infinite: until it comes.
  absl::Duration linger_timeout = absl::Seconds(5);

  // Queued bytes: above `write_high_mark` send() says so, then at `write_low_mark` or below
  // on_writable is called, and more than `write_cap` would reset the connection, with
  // ResourceExhausted. None may be larger than the next: low, high, cap.
  std::size_t write_high_mark = 256 * 1024;
  std::size_t write_low_mark = 64 * 1024;
  std::size_t write_cap = 64 * 1024 * 1024;

  // Reading pauses by itself while more than `write_high_mark` is queued, until the queue is at
  // `write_low_mark` or below: so a peer that sends but does not read what it gets is held up, and
  // needs no more memory here. False: only pause_reading() pauses.
  bool pause_reading_above_high_mark = true;

  // InvalidArgument names what is wrong. listen() and connect() ask themselves.
  absl::Status check() const;
};

// How Runtime::listen() listens, and how the connections behave that it accepts.
struct ListenOptions {
  int backlog = 4096;              // at least 1; the system caps it, see listen(2)
  bool reuse_port = false;         // SO_REUSEPORT: other processes may listen on the same port
  std::size_t accept_budget = 64;  // connections taken in one turn, so that others get theirs
  ConnectionOptions connection;

  // Runtime::order(), for all callbacks of all its connections; none: each has an order of its own.
  // One of another runtime is InvalidArgument, by listen().
  Order order;

  // InvalidArgument, also of `connection`. listen() asks itself and returns it.
  absl::Status check() const;
};

// How Runtime::connect() connects, and how the connection behaves.
struct ConnectOptions {
  // For everything: resolving the name and trying each of its addresses in turn, each with an even
  // share of what is left. More than zero; infinite: as long as the system tries.
  absl::Duration timeout = absl::Seconds(30);
  ConnectionOptions connection;
  Order order;  // as ListenOptions has it; for the callback of connect() too

  // InvalidArgument, also of `connection`. connect() asks itself and calls back with it.
  absl::Status check() const;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_OPTIONS_H_
