#ifndef EPORE_RUNTIME_LISTENER_H_
#define EPORE_RUNTIME_LISTENER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/task.h"

namespace epore {

namespace internal {

class AcceptQueue;
class ListenerState;
class OrderState;
struct AcceptedConnection;

// What Listener::accept() returns. A program only awaits it.
class [[nodiscard]] AcceptOperation final : public ListedOperation,
                                            public WithResult<AcceptOperation> {
 public:
  using Value = Connection;

  // `misuse`: the error if there is no queue.
  AcceptOperation(Ref<AcceptQueue> queue, const char* misuse);
  AcceptOperation(AcceptOperation&&) noexcept;  // before it begins
  ~AcceptOperation();                           // a connection that nobody has taken goes back

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  Connection take();

 private:
  friend class AcceptQueue;

  void cancel(const absl::Status& why) override;
  const char* name() const override { return "Listener::accept"; }

  Ref<AcceptQueue> queue_;
  const char* misuse_;

  // Of the task that waits. The queue reads it under its lock while the task waits.
  OrderState* order_ = nullptr;

  // Written under the lock, or by begin(). Its own order reads it when it has completed.
  std::unique_ptr<AcceptedConnection> accepted_;
};

// A callable that serves the connections of a listener: it makes a Task<>, and takes its connection
// by value, as far as that can be seen.
template <typename F>
inline constexpr bool kIsHandler = [] {
  if constexpr (std::is_invocable_v<F&, Connection>) {
    if constexpr (std::is_same_v<std::invoke_result_t<F&, Connection>, Task<>>) {
      if constexpr (ShowsParameter<F>) return !takes_reference<F>();
      return true;
    }
  }
  return false;
}();

// A handler whose parameter cannot be seen, so that it may be a reference: the connection lives as
// long as its task.
template <typename F>
class KeepsConnection {
 public:
  explicit KeepsConnection(F&& function) : function_(std::move(function)) {}

  Task<> operator()(Connection peer) { return serve(function_, std::move(peer)); }

 private:
  static Task<> serve(F& function, Connection peer) { co_await function(std::move(peer)); }

  F function_;
};

}  // namespace internal

// A Listener is a set of sockets that accept connections: one for each address of the host and for
// each reactor. Runtime::listen() makes it, with a callback or a coroutine for each connection, or
// without. Without one, tasks accept.
//
//   absl::StatusOr<epore::Listener> listener = runtime.listen("localhost:0", on_accept);
//   std::printf("LISTEN %s\n", listener->address().to_string().c_str());
//
// Threads: any thread may call any method.
//
// Ownership, lifetime: a Listener is a handle. Copies name the same listener and may outlive the
// runtime. Dropping handles closes nothing: the sockets accept until close() or the shutdown.
//
// A listener without a callback accepts only for tasks that wait in accept(). All other clients
// wait in the backlog, and close() refuses them.
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

  // Duplicates of the sockets, for another process that is to listen there as well: it gets them
  // over a Unix socket (Connection::send() with descriptors), and listens at "fd://N" each. With
  // several reactors each has sockets of its own, and clients that wait in the backlog of one are
  // not lost only if that is handed over, too. So hand over all of them.
  //
  // The file of a Unix socket is not removed any more with this listener, because somebody else may
  // listen there then. The next listen() at its path takes over one that is left behind.
  //
  // Errors: FailedPrecondition if it is closed or names no listener; those of fcntl(2).
  absl::StatusOr<std::vector<OwnedFd>> descriptors() const;

  // Waits for a connection, in a task:
  //
  //   co_await epore::group([&](epore::Group& group) -> epore::Task<> {
  //     for (;;) group.spawn(serve, co_await listener.accept());
  //   });
  //
  // The connection is in the order of the task, unless ListenOptions::order names another one. So
  // the children of the task use it without a detour, one at a time. For connections that are
  // served at the same time, accept in several tasks, or give listen() a handler. The connection
  // closes gracefully when its last handle is gone.
  //
  // Any number of tasks of any orders may wait, and the first one is served first. A stop, and an
  // any() that has no use for the connection, leave it to the next accept().
  //
  // Errors: Cancelled once the listener is closed or the runtime shuts down; then the first task
  // that fails in a group stops the others, so look at result() where they are to finish. The error
  // that ended the last socket. Those of a stop or a deadline. FailedPrecondition if the listener
  // has a callback, or this names no listener.
  internal::AcceptOperation accept();

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
