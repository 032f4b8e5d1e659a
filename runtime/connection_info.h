#ifndef EPORE_RUNTIME_CONNECTION_INFO_H_
#define EPORE_RUNTIME_CONNECTION_INFO_H_

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>

#include "absl/time/time.h"
#include "epore/runtime/address.h"

namespace epore {

// A ConnectionInfo says what one connection does and waits for, as it was when somebody looked.
// Runtime::connections() returns them.
//
//   const auto all = runtime.connections();
//   if (!all.ok()) return epore::report(all.status());
//   for (const epore::ConnectionInfo& one : *all) {
//     if (one.age > absl::Hours(1)) std::puts(one.to_string().c_str());
//   }
//
// Threads, lifetime: a plain value. The connection may have ended since.
//
// Edges. Guaranteed: the members of the second part belong to one moment. Those of the first part
// may be a moment apart from each other and from the second part. The second part has its initial
// values, and `is_known` is false, if a thread was in the order of the connection, or is to be.
struct ConnectionInfo {
  // Who runs the connection at this moment.
  enum class Run : std::uint8_t {
    idle,     // nobody: it waits for what the rest says
    queued,   // it is ready, and waits for a thread or for its order
    running,  // a thread is in its callbacks, or in its order
  };

  enum class Phase : std::uint8_t {
    open,
    closing,    // closed by either side, with bytes that are not written yet
    lingering,  // everything is written, and the peer has not ended its half
  };

  // Who reads what the peer sends.
  enum class Reading : std::uint8_t {
    by_callback,
    by_task,     // a coroutine waits in read() or its like
    by_nobody,   // there is no on_data, and no coroutine reads now: it does something else
    paused,      // by pause_reading()
    held,        // by the library, until the write queue is at its low mark
    ended,       // the peer has ended its half
    discarding,  // the connection closes: what comes is dropped
  };

  enum class Timeout : std::uint8_t { none, idle, write_stall, linger };

  // The first part.
  std::uint64_t id = 0;  // Connection::id()
  SocketAddress local_address;
  SocketAddress peer_address;
  absl::Duration age;            // since its begin, to 0.1 s; up to nine years
  std::size_t queued_bytes = 0;  // sent, and not yet taken by the system
  bool is_above_high_mark = false;
  Run run = Run::idle;

  // The second part.
  bool is_known = false;
  Phase phase = Phase::open;
  Reading reading = Reading::by_callback;
  bool has_unread = false;        // something of the peer waits in the system; a hint
  bool is_write_blocked = false;  // the system takes no bytes: the peer does not read, or is gone
  bool has_writer = false;        // a coroutine waits in write() or its like
  bool is_write_shut = false;     // our half was ended
  bool is_draining = false;       // it was told of a shutdown

  // The next timeout of ConnectionOptions that may end it, and the time until then; less than zero
  // if it is being judged. Timers and within() are not here.
  Timeout timeout = Timeout::none;
  absl::Duration time_left = absl::InfiniteDuration();

  // Where in the program a coroutine waits for the connection; line() is 0 if none does. If one
  // waits to read and one to write, it is the reader's if `reading` is by_task, else the writer's.
  std::source_location where;

  // Returns one line, without its end:
  //
  //   connection 7 (peer 10.0.0.2:40312, local 10.0.0.1:80), for 12.5s: read by a task at
  //   proxy.cc:20, idle timeout in 47s
  std::string to_string() const;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_CONNECTION_INFO_H_
