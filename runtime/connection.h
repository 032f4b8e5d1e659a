#ifndef EPORE_RUNTIME_CONNECTION_H_
#define EPORE_RUNTIME_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "epore/runtime/address.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/send_result.h"
#include "epore/runtime/timer.h"

namespace epore {

namespace internal {
class Stream;
}

// A stream to a peer, with callbacks that never overlap: its *order*. It is not a socket: it reads,
// queues, writes and closes by itself and tells what came of it.
//
//   runtime.listen("127.0.0.1:7000", [](epore::Connection& peer) {
//     peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
//     peer.on_closed([](epore::Connection&, const absl::Status& why) { LOG(INFO) << why; });
//   });
//
// A handle of one pointer: copies name the same connection, may go to any thread, and may outlive
// the connection and the runtime. Dropping handles closes nothing.
//
// Threads: every method may be called from any thread. What is called in the connection's own
// callbacks takes effect at once, from elsewhere in its order soon after. send() keeps the order of
// each thread.
//
// Guarantees: callbacks of one connection run one at a time and in order; no lock is held
// meanwhile, so they may call anything of epore. `closed` is called exactly once and is the last;
// then the callbacks are destroyed, and with them what they captured (also a handle to itself). A
// callback that throws aborts its connection, with Internal, and harms no other.
//
// Memory: bytes are read into a buffer of the thread's; an idle connection holds none.
class Connection {
 public:
  using DataCallback = absl::AnyInvocable<void(Connection&, std::span<const std::byte>)>;
  using Callback = absl::AnyInvocable<void(Connection&)>;
  using ClosedCallback = absl::AnyInvocable<void(Connection&, const absl::Status&)>;

  Connection();  // names no connection: is_open() is false, send() is closed
  Connection(const Connection&);
  Connection(Connection&&) noexcept;
  Connection& operator=(const Connection&);
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  // -- What to be told. Each replaces the callback that was set before; null: none. --

  // Bytes from the peer, valid during the call only. Without it they are read and dropped.
  void on_data(DataCallback callback);

  // The peer sends no more (end of file), all of its bytes were delivered; sending still works.
  // Without it the connection is closed gracefully.
  void on_read_closed(Callback callback);

  // The queue fell to the low mark after send() had said `high`.
  void on_writable(Callback callback);

  // The end, with the reason: ok after a graceful close by either side.
  void on_closed(ClosedCallback callback);

  // The runtime drains: finish what is under way, then close(). Without it, close() at once.
  void on_drain(Callback callback);

  // -- What to do. --

  // Sends a copy of `bytes`, and says whether to go on. Pieces are gathered while callbacks run and
  // leave in one system call when they have returned; but each 64 KiB gathered, and a piece of
  // 16 KiB or more together with what was gathered before it, leave at once in calls of their own.
  // What the system does not take is queued.
  SendResult send(std::span<const std::byte> bytes);
  SendResult send(std::string_view text);

  // Stops and resumes on_data and on_read_closed. The peer is held up by its flow control.
  void pause_reading();
  void resume_reading();

  // Ends our half once the queue is written, as shutdown(2) with SHUT_WR; the peer's bytes still
  // come. More send() is refused.
  void shut_down_write();

  // Closes gracefully: no more on_data; writes the queue, ends our half, drains what the peer still
  // sends, for at most the linger timeout, so that a reset cannot destroy bytes on their way.
  void close();

  // Resets (RST), dropping what is queued. `closed` gets Cancelled.
  void abort();

  // Runs `closure` in the connection's order, never inside this call. It is destroyed without
  // running if the connection ends first. FailedPrecondition: it has ended already, or this handle
  // names none. InvalidArgument: the closure is null.
  absl::Status post(Callback closure);

  // A timer whose callback runs in the connection's order; gone with it. Not armed yet. After the
  // connection's end it does nothing. For a null callback: a timer that names none, and an error in
  // the log.
  Timer timer(Callback callback);

  // -- What it is. --

  // False from the moment close(), abort() or an error has taken effect.
  bool is_open() const;

  // Bytes accepted by send() that the system has not taken yet.
  std::size_t queued_bytes() const;

  // Unique in the process, never reused; 0 for a handle without a connection.
  std::uint64_t id() const;

  // Both ends, as they were when it was opened; also after its end.
  SocketAddress local_address() const;
  SocketAddress peer_address() const;

 private:
  friend class internal::Stream;
  explicit Connection(internal::Ref<internal::Stream> stream);

  internal::Ref<internal::Stream> stream_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_CONNECTION_H_
