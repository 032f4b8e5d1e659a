#ifndef EPORE_RUNTIME_LISTENER_H_
#define EPORE_RUNTIME_LISTENER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "epore/runtime/address.h"

namespace epore {

namespace internal {
class ListenerState;
}

// Sockets that accept connections: one for each address of the host, and for each reactor.
//
//   absl::StatusOr<epore::Listener> listener = runtime.listen("localhost:0", on_accept);
//   std::printf("LISTEN %s\n", listener->address().to_string().c_str());
//
// A handle: copies name the same listener and may outlive the runtime. Dropping handles closes
// nothing: it accepts until close() or the runtime's shutdown.
//
// When descriptors or memory run out it pauses, leaves clients in the backlog, and goes on when one
// of the runtime's connections ends, at the latest after a backoff of 10 to 500 ms. The same when
// accept(2) fails in another way, of a single connection (ECONNABORTED, EPROTO, ...) 64 times in a
// row: a line in the log, at most once a second. Only EBADF, EINVAL, ENOTSOCK and EFAULT, which no
// later call can get over, end that socket: a line in the log, and status().
//
// Threads: every method from any.
class Listener {
 public:
  Listener();  // names no listener

  // The addresses bound, with the real ports, and the first of them; the same after close(). None
  // and an empty one if this names no listener.
  std::vector<SocketAddress> addresses() const;
  SocketAddress address() const;

  // Ok, also while it pauses and after close(); FailedPrecondition if this names no listener. If
  // one of its sockets has ended by itself, why: the others go on, and it takes close() and another
  // Runtime::listen() to have that one back.
  absl::Status status() const;

  // Accepts no more and closes the sockets, soon. Connections stay. Again: nothing.
  void close();

 private:
  friend class Runtime;
  explicit Listener(std::shared_ptr<internal::ListenerState> state);

  std::shared_ptr<internal::ListenerState> state_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_LISTENER_H_
