#ifndef EPORE_RUNTIME_CONNECTION_H_
#define EPORE_RUNTIME_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/byte_view.h"
#include "epore/runtime/bytes.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/file.h"
#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/peer_credentials.h"
#include "epore/runtime/send_result.h"
#include "epore/runtime/timer.h"

namespace epore {

namespace internal {
class Stream;
}

// A Connection is a stream to a peer, over TCP or a Unix socket, with callbacks that never overlap.
// These callbacks are the connection's *order*. A Connection is not a socket: it reads, queues,
// writes and closes by itself, and tells the program through callbacks.
//
//   auto listener = runtime.listen("127.0.0.1:7000", [](epore::Connection& peer) {
//     peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
//     peer.on_closed([](epore::Connection&, const absl::Status& why) { LOG(INFO) << why; });
//   });
//
// Threads: any thread may call any method. A call in the connection's order, by its callbacks and
// coroutines, takes effect at once. A call from elsewhere takes effect there, soon. send() keeps
// the sequence of each thread.
//
// Ownership, lifetime: a Connection is a handle of one pointer. Copies name the same connection,
// may go to any thread, and may outlive the connection and the runtime. Dropping handles closes
// nothing, with one exception: a connection that a task has made with epore::connect() closes
// gracefully when its last handle is gone.
//
// Edges, guaranteed:
//
// 1. The callbacks of one connection run one at a time and in order.
// 2. No lock is held while a callback runs, so a callback may call anything of epore.
// 3. on_closed is called exactly once, and is the last callback. Then all callbacks are destroyed,
//    with everything that they captured, handles to the connection included.
// 4. A callback that throws aborts its connection with Internal, and harms no other connection.
//
// Today, not promised: bytes are read into a buffer of the thread, so an idle connection holds
// none.
//
// See tcp(7), unix(7), docs/threading.md, docs/errors.md.
class Connection {
 public:
  using DataCallback = absl::AnyInvocable<void(Connection&, std::span<const std::byte>)>;
  using Callback = absl::AnyInvocable<void(Connection&)>;
  using ClosedCallback = absl::AnyInvocable<void(Connection&, const absl::Status&)>;

  Connection();  // names no connection: is_open() is false, send() returns `closed`
  Connection(const Connection&);
  Connection(Connection&&) noexcept;
  Connection& operator=(const Connection&);
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  // -- Callbacks. Each call replaces the callback that was set before; null, or an empty
  // std::function, removes it. --

  // Called with bytes from the peer. They are valid during the call only. Without this callback
  // nothing is read: bytes wait in the system, and flow control holds the peer up. Where callbacks
  // are set from outside the connection's own callbacks, set this one last.
  void on_data(internal::Callable<DataCallback> callback);

  // Called when the peer has ended its half and all its bytes were delivered. send() still works.
  // Without this callback the connection is closed gracefully.
  void on_read_closed(internal::Callable<Callback> callback);

  // Called when the write queue falls to the low mark, after send() has returned `high`.
  void on_writable(internal::Callable<Callback> callback);

  // Called at the end, with the reason. The reason is ok after a graceful close by either side. If
  // the connection has ended without an on_closed, the first one that is set then is called: soon,
  // never inside this call, and not once a shutdown refuses posts.
  void on_closed(internal::Callable<ClosedCallback> callback);

  // Called when the runtime begins to drain: finish the current work, then close(). Without this
  // callback the connection is closed gracefully, after on_data has got all bytes that had arrived.
  void on_drain(internal::Callable<Callback> callback);

  // -- Coroutines. What these return is awaited at once: `co_await peer.read()`. --
  //
  // A connection is used by callbacks or by coroutines: with an on_data these end with
  // FailedPrecondition, and after the first of these on_data is refused, with an error in the log.
  // Any number of coroutines may write. The bytes of one write() leave in one piece: those of other
  // writes, and of send(), come before or behind. One coroutine at a time may read; a second one
  // gets FailedPrecondition. Nothing is received while nobody reads.
  //
  // They end with an error when the connection fails: the error of the system, DeadlineExceeded by
  // a timeout of the ConnectionOptions, Cancelled after close() and when a shutdown drains a
  // connection that listen() has accepted.

  // Waits for bytes. The view is valid until the next read of this connection (peek() and consume()
  // included); bytes that the coroutine does not look at are gone then. An empty view is the end:
  // the peer has ended its half. It costs no copy. A coroutine that awaits something else with a
  // view in its hand keeps a part of a buffer of the thread for so long. OutOfRange: 16 reads in a
  // row were empty at the end, so it is a loop that does not look for it.
  internal::ReadCall read();

  // Waits for exactly `count` bytes, and gives a view as read() does. OutOfRange: the peer ended
  // before; what it sent can still be read.
  internal::SizedReadOperation read_exactly(std::size_t count);

  // Waits for bytes that end with `delimiter`, at most `limit` of them, and gives a view as read()
  // does, with the delimiter at its end. ResourceExhausted: there is none in the first `limit`
  // bytes. OutOfRange: the peer ended before. Then nothing is consumed. InvalidArgument: the
  // delimiter is empty.
  internal::SizedReadOperation read_until(std::string_view delimiter, std::size_t limit);

  // Waits for bytes and receives them into memory of the caller's, which must live until then.
  // Gives their number: at least one, or 0 at the end. InvalidArgument: the memory has no room.
  // OutOfRange: as for read().
  internal::ReadSomeOperation read_some(std::span<std::byte> buffer);

  // Waits until there are at least `count` bytes, and gives a view of everything that is there. It
  // stays there: consume() drops bytes from the front, and only then they are gone. At the end of
  // the stream the view may be shorter.
  internal::SizedReadOperation peek(std::size_t count = 1);

  // Drops bytes that peek() has shown, in the task that has awaited it. More than there are: all.
  void consume(std::size_t count);

  // Writes `bytes`, which must live until then, and waits while the write queue is above its high
  // mark. So a coroutine that writes is held up by a slow peer, and needs no more memory. Small
  // pieces are gathered as by send(). Bytes that the system does not take are copied.
  //
  // One that a stop or a deadline cuts may have written a part, as its error cannot tell. Then
  // close the connection, or keep the cut away: shield(peer.write(answer)).
  internal::WriteOperation write(const ByteView& bytes);

  // Writes several pieces of bytes or text, at most eight in braces, as write() of one: in one
  // system call as far as possible, and no other bytes come between them.
  //
  //   co_await peer.write({head, body, "\r\n"});
  //
  // All must live until then. So a string that a function has returned does not compile here, and
  // must be in a variable; nor does a plain pointer to characters.
  internal::GatherWriteOperation write(const internal::LastingPieces& pieces);
  internal::PiecesWriteOperation write(std::span<const ByteView> pieces);

  // Writes shared bytes, as write() of a view. What the system does not take is held, not copied.
  internal::SharedWriteOperation write(Bytes bytes);

  // The same of several pieces, which must live until then, in one system call as far as possible.
  // No other bytes come between them.
  internal::SharedWriteOperation write(std::span<const Bytes> pieces);

  // Writes `length` bytes of `file` from `offset` on, as write() of bytes does. They go from the
  // file to the socket by sendfile(2), without a copy; where the system refuses that, they are
  // copied. It waits until all but the last piece of 1 MiB are gone. Bytes that were written before
  // leave in the same packet.
  //
  // The file may change meanwhile: what is sent is what it has then. If it has become too short,
  // the connection is reset with OutOfRange, so that nobody takes a part for the whole. An error of
  // the disk resets it as well. InvalidArgument: `file` names none.
  //
  // A stop or a deadline leaves what had begun: at most one piece of 1 MiB goes on, and the peer
  // gets no more of the file. What is written then would look like the rest of it, so close or
  // abort the connection.
  //
  // Bytes that are not in memory must come from the disk, and the thread waits for it as in a slow
  // callback: with Dispatch::adaptive a relief worker stands in for it.
  internal::FileWriteOperation write(File file, std::uint64_t offset, std::uint64_t length);

  // Writes `bytes` with descriptors, as write() of bytes: see send() of descriptors. If the
  // operation does not begin, or fails, they are closed when it is destroyed. Errors, which leave
  // the connection as it is: FailedPrecondition for TCP; InvalidArgument without bytes, for more
  // than 253 descriptors or than `write_cap` allows, and for an OwnedFd that names none.
  internal::DescriptorWriteOperation write(const ByteView& bytes, std::vector<OwnedFd> descriptors);
  internal::DescriptorWriteOperation write(const ByteView& bytes, OwnedFd descriptor);

  // Waits until the system has taken everything that was written before.
  internal::FlushOperation flush();

  // Waits for the end of the connection, and gives its reason, as on_closed does: at once if it has
  // ended. Any number of coroutines may wait, also beside callbacks.
  //
  //   auto first = co_await epore::any(peer.closed(), compute(request));
  //
  // It neither reads nor closes. So the end of the peer's half is not seen, as bytes may be before
  // it, but a reset is.
  internal::ClosedOperation closed();

  // -- Actions. --

  // Sends a copy of `bytes`. The result says whether the bytes were accepted and whether to go on.
  //
  // Small pieces are gathered while callbacks run, and leave in one system call when the callbacks
  // have returned. Each 64 KiB of them leave at once, and so does a piece of 16 KiB or more. Bytes
  // that the system does not take are queued.
  SendResult send(std::span<const std::byte> bytes);
  SendResult send(std::string_view text);

  // Not a buffer of characters, as text would end at its first zero. Literals are right.
  template <std::size_t N>
  SendResult send(char (&)[N]) = delete;  // a buffer: write std::string_view(buffer, size)

  // Sends copies of several pieces of bytes or text as one: all or none, in one system call as far
  // as possible, and nothing of other threads comes between them.
  //
  //   peer.send({head, body, "\r\n"});
  //
  // 16 KiB or more in all leave at once, from where they lie, and what the system does not take is
  // copied. Fewer bytes are gathered, as those of one piece are.
  SendResult send(std::initializer_list<internal::Piece> pieces);
  SendResult send(std::span<const ByteView> pieces);

  // Sends shared bytes without a copy: the connection holds them until the system has them. They
  // are gathered, queued, and count for the marks and the cap as other bytes do, whoever else holds
  // them. Fewer than 256 bytes are copied, which takes less memory than to hold them.
  SendResult send(const Bytes& bytes);

  // Sends several pieces as one: all or none, in one system call as far as possible, and nothing of
  // other threads comes between them.
  SendResult send(std::span<const Bytes> pieces);

  // Sends `length` bytes of `file` from `offset` on, behind what was sent before. See write() of a
  // file. Returns `high` if they are not all gone: on_writable is called when they are. They take
  // no memory, and do not count for the marks. Any number of parts may wait.
  //
  // A file that is too short and an error of the disk reset the connection: on_closed gets
  // OutOfRange, or the error. A File that names none resets it with InvalidArgument.
  SendResult send(File file, std::uint64_t offset, std::uint64_t length);

  // Sends a copy of `bytes`, and with the first of them descriptors, which the peer then has as
  // well (SCM_RIGHTS, unix(7)). For Unix sockets.
  //
  //   epore::OwnedFd memory(memfd_create("frame", MFD_CLOEXEC));
  //   peer.send("frame", std::move(memory));
  //
  // It takes them over, and closes them when they are sent, or when the connection ends before
  // that. Each counts as 1024 queued bytes. The call that passes them has no bytes of other sends,
  // so the peer gets them in the sequence of the sends. It needs to be told by the bytes how many
  // belong to what.
  //
  // The connection is reset, and on_closed gets the error, by misuse: FailedPrecondition for TCP;
  // InvalidArgument without bytes, for more than 253 descriptors, and for an OwnedFd that names
  // none. So it is if the system refuses: with ETOOMANYREFS more are on their way than this user
  // may have open. Without descriptors it is send() of bytes.
  SendResult send(const ByteView& bytes, std::vector<OwnedFd> descriptors);
  SendResult send(const ByteView& bytes, OwnedFd descriptor);

  // Takes the first descriptors that the peer has sent, at most `most` of them, in the sequence in
  // which they were sent; ConnectionOptions::max_descriptors must allow them. They are there before
  // on_data or a read gives the first of the bytes that they were sent with, and may be there
  // somewhat earlier. They are close-on-exec, and no number is 0, 1 or 2.
  //
  //   epore::ByteView header = co_await peer.read_exactly(8);
  //   std::vector<epore::OwnedFd> buffers = peer.take_descriptors(2);
  //
  // Those that nobody has taken are closed when the connection has ended; where coroutines read,
  // when its last handle is gone as well. If the system cannot give all that were sent, as at the
  // limit of open descriptors, the connection is reset with ResourceExhausted, and all that have
  // come with them are closed.
  std::vector<OwnedFd> take_descriptors(std::size_t most = std::numeric_limits<std::size_t>::max());

  // Stops and resumes on_data and on_read_closed. Meanwhile flow control holds the peer up. Reading
  // also pauses by itself, see ConnectionOptions::pause_reading_above_high_mark; resume_reading()
  // does not end that.
  void pause_reading();
  void resume_reading();

  // Ends our half when the queue is written, as shutdown(2) with SHUT_WR does. Bytes of the peer
  // still arrive. A later send() returns `closed`.
  void shut_down_write();

  // Closes gracefully: writes the queue, ends our half, and waits for the peer's end of file, for
  // at most the linger timeout. on_data is not called any more, and what the peer sends is dropped.
  // A close(2) with unread bytes would send a reset, which destroys bytes that are on their way.
  void close();

  // As close(), with a reason for on_closed.
  void close(absl::Status reason);

  // Resets the connection (RST) and drops the queue. on_closed gets Cancelled. The peer of a Unix
  // socket sees an end of file instead, if it had sent nothing that was not read.
  void abort();

  // As abort(), with another reason for on_closed.
  void abort(absl::Status reason);

  // Changes a timeout of the ConnectionOptions, in the connection's order. The idle time starts
  // again. Errors: InvalidArgument for zero or less (the linger timeout may be zero).
  absl::Status set_idle_timeout(absl::Duration timeout);
  absl::Status set_write_stall_timeout(absl::Duration timeout);
  absl::Status set_linger_timeout(absl::Duration timeout);

  // Runs `closure` in the connection's order, never inside this call. If the connection ends first,
  // the closure is destroyed without a call. Errors: FailedPrecondition if the connection has ended
  // or this handle names none; InvalidArgument if the closure is null.
  absl::Status post(internal::Callable<Callback> closure);

  // Makes a timer, which is not armed. Its callback runs in the connection's order. After the end
  // of the connection the timer does nothing. If the callback is null, the returned timer names
  // none, and there is an error in the log.
  Timer timer(internal::Callable<Callback> callback);

  // -- Properties. --

  // Whether neither close() nor abort() nor an error has taken effect. A hint on other threads: it
  // never becomes true again.
  bool is_open() const;

  // The number of bytes that send() has accepted and the system has not taken yet. A part of a file
  // counts as 128, about the memory that it takes, and a descriptor as 1024.
  std::size_t queued_bytes() const;

  // A number that is unique in the process and never reused; 0 for a handle that names none.
  std::uint64_t id() const;

  // The addresses of both ends, from when the connection was opened. Valid after its end as well. A
  // listener on [::] sees an IPv4 client as [::ffff:1.2.3.4]: see SocketAddress::unmapped(). Most
  // clients of a Unix socket have no name: "unix:".
  SocketAddress local_address() const;
  SocketAddress peer_address() const;

  // The process at the other end of a Unix socket: who connected, or who began to listen. It may
  // have ended since, or have given the socket to another one. Errors: FailedPrecondition for TCP
  // and for a handle that names no connection; those of getsockopt(2).
  absl::StatusOr<PeerCredentials> peer_credentials() const;

  // The descriptor of the socket, for getsockopt(2) and setsockopt(2): the round-trip time of
  // TCP_INFO, say. It belongs to the connection. Who closes, reads, writes or shuts it down takes
  // from the connection what it relies on. In the connection's order only; elsewhere, after the end
  // and for a handle that names none it is -1. Options that must be there before the connection is
  // opened are in ConnectionOptions.
  int fd() const;

  // Whether both handles name the same connection, or none.
  friend bool operator==(const Connection& a, const Connection& b) {
    return a.stream_.get() == b.stream_.get();
  }
  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const Connection& connection) {
    return Hash::combine(std::move(hash), connection.stream_.get());
  }

 private:
  friend class internal::Stream;
  friend struct std::hash<Connection>;
  explicit Connection(internal::Ref<internal::Stream> stream);

  internal::Ref<internal::Stream> stream_;
};

}  // namespace epore

template <>
struct std::hash<epore::Connection> {
  std::size_t operator()(const epore::Connection& connection) const {
    return std::hash<const void*>()(connection.stream_.get());
  }
};

#endif  // EPORE_RUNTIME_CONNECTION_H_
