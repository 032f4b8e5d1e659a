#ifndef EPORE_RUNTIME_LISTENER_H_
#define EPORE_RUNTIME_LISTENER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "epore/runtime/address.h"

namespace epore {

namespace internal {
class ListenerState;
}

// A Listener is a set of sockets that accept connections: one for each address of the host and for
// each reactor. It has no callbacks of its own: Runtime::listen() takes the accept callback.
//
//   absl::StatusOr<epore::Listener> listener = runtime.listen("localhost:0", on_accept);
//   std::printf("LISTEN %s\n", listener->address().to_string().c_str());
//
// Threads: any thread may call any method.
//
// Ownership, lifetime: a Listener is a handle. Copies name the same listener and may outlive the
// runtime. Dropping handles closes nothing: the sockets accept until close() or the shutdown.
//
// Edges. Guaranteed: a socket pauses, and clients wait in the backlog, in these cases:
//
// - Descriptors or memory have run out, or max_connections is reached.
// - accept(2) has failed 64 times in a row with an error of a single connection, such as
//   ECONNABORTED.
// - accept(2) has failed in any other way.
//
// It goes on when a connection of the runtime ends, or after a backoff of 10 to 500 ms. A pause is
// logged at most once a second. Only EBADF, EINVAL, ENOTSOCK and EFAULT end a socket, as no later
// call can succeed; the log and status() say so.
//
// See accept(2), listen(2).
class Listener {
 public:
  Listener();  // names no listener

  // The bound addresses with their real ports, and the first of them. They stay the same after
  // close(). Empty if this names no listener.
  std::vector<SocketAddress> addresses() const;
  SocketAddress address() const;

  // The state of the sockets. Ok also during a pause and after close(). FailedPrecondition if this
  // names no listener. If a socket has ended by itself, the error that ended it; the other sockets
  // go on. To replace it, close() the listener and listen again.
  absl::Status status() const;

  // Closes the sockets, soon. Accepted connections stay open. A second call does nothing.
  void close();

  // As close(), and returns when the sockets are closed. listen() can then have the port at once. A
  // poll thread closes them, which takes as long as the callback that it runs. Ok also after
  // close() and after the end of the runtime. Errors: FailedPrecondition from a callback of the
  // runtime, where nothing is closed, and if this names no listener.
  absl::Status close_and_wait();

  // Whether both name the same listener, or none.
  friend bool operator==(const Listener& a, const Listener& b) { return a.state_ == b.state_; }
  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const Listener& listener) {
    return Hash::combine(std::move(hash), listener.state_.get());
  }

 private:
  friend class Runtime;
  friend struct std::hash<Listener>;
  explicit Listener(std::shared_ptr<internal::ListenerState> state);

  std::shared_ptr<internal::ListenerState> state_;
};

}  // namespace epore

template <>
struct std::hash<epore::Listener> {
  std::size_t operator()(const epore::Listener& listener) const {
    return std::hash<const void*>()(listener.state_.get());
  }
};

#endif  // EPORE_RUNTIME_LISTENER_H_
