#ifndef EPORE_RUNTIME_UDP_H_
#define EPORE_RUNTIME_UDP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/address.h"
#include "epore/runtime/byte_view.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/order_option.h"

namespace epore {

namespace internal {
class DatagramFlushOperation;
class DatagramOperation;
class DatagramWriteOperation;
class UdpHandle;
class UdpState;
}  // namespace internal

// One datagram that was received.
struct Datagram {
  ByteView bytes;
  SocketAddress peer;         // a Unix socket's may be without a name: then nobody can answer it
  SocketAddress local;        // where it was sent to, without a port: UdpOptions::local_address
  bool is_truncated = false;  // it was longer than UdpOptions::max_datagram; the rest is lost
};

struct UdpOptions {
  // The longest datagram that is received whole, in bytes, 1 to 65535.
  std::size_t max_datagram = 2048;

  // How many datagrams one system call receives at most, 1 to 1024. The socket has memory for so
  // many of max_datagram.
  std::size_t batch = 32;

  // So many bytes may wait for room in the socket's buffer; each datagram counts 256 more. send()
  // refuses what is above.
  std::size_t send_queue = std::size_t{1} << 20;

  // If it is not empty, the socket is connected to it: it hears of no other peer, send() needs no
  // address, and it is told when nobody listens on the port (ECONNREFUSED).
  SocketAddress peer = {};

  // Datagram::local is set, for machines with several addresses: answer with it as `from`.
  bool local_address = false;

  // Lets the system hand over several datagrams of one sender as one (UDP_GRO), where it can. They
  // are taken apart again. It needs 64 KiB of memory for each datagram of a batch.
  bool receive_offload = false;

  // Errors that ICMP reports are told of any peer: nobody listens there, no way leads there.
  // Without it only a connected socket is told, and only of the first kind. peer_of() is the peer.
  // It is off, as anybody whom a server answers could cause such errors: ask with result().
  bool icmp_errors = false;

  bool reuse_port = false;  // SO_REUSEPORT: several sockets share the port

  // SO_REUSEADDR, socket(7): other sockets that have it as well, of any user, may be bound to the
  // port. Each of them gets what is sent to a group that it has joined. Of other datagrams only one
  // of them gets each.
  bool reuse_address = false;

  // The sizes of the buffers of the socket, in bytes: SO_RCVBUF and SO_SNDBUF, socket(7). 0: the
  // system's default.
  int receive_buffer = 0;
  int send_buffer = 0;

  bool broadcast = false;  // SO_BROADCAST, socket(7): may send to broadcast addresses

  // The number of hops that a datagram to one host may take, 1 to 255: IP_TTL, ip(7), and
  // IPV6_UNICAST_HOPS, ipv6(7). 0: the system's default.
  int hops = 0;

  // The class of what is sent, 0 to 255: IP_TOS, ip(7), and IPV6_TCLASS, ipv6(7).
  std::optional<int> traffic_class = std::nullopt;

  // For what is sent to multicast groups: the interface that it leaves by, a number of
  // network_interface() (0: the system's choice); its hops, 0 to 255, where 0 keeps it on this
  // machine and 1 in this network; whether sockets of this machine get it as well. See
  // IP_MULTICAST_IF, IP_MULTICAST_TTL and IP_MULTICAST_LOOP, ip(7).
  unsigned multicast_interface = 0;
  int multicast_hops = 1;
  bool multicast_loop = true;

  // Is called with the socket before it is bound, for options that have no name here, such as
  // SO_BINDTODEVICE. An error, or an exception, ends the call that opens the socket. It may not
  // keep or close the descriptor. A function or a lambda without captures.
  absl::Status (*on_socket)(int fd) = nullptr;

  // The permissions of a Unix socket's file, as in ListenOptions::unix_mode.
  std::optional<unsigned> unix_mode = std::nullopt;

  // The callback runs in it. None: in an order of the socket's own.
  OrderOption order = {};

  // Errors: InvalidArgument, which names the option.
  absl::Status check() const;
};

// What a socket has counted so far.
struct UdpCounters {
  std::uint64_t received = 0;
  std::uint64_t truncated = 0;
  std::uint64_t dropped = 0;  // by the system, as the receive buffer was full (SO_RXQ_OVFL)
  std::uint64_t sent = 0;
  std::uint64_t refused = 0;         // by send(), as the queue was full
  std::uint64_t send_errors = 0;     // dropped, as the system refused them
  std::uint64_t icmp_errors = 0;     // that were told: UdpOptions::icmp_errors
  std::uint64_t receive_errors = 0;  // of the system, such as ENOMEM, that nobody was told of
};

// Returns the peer that an error of a UdpSocket is about: where the datagram was sent to that ICMP
// has come back for. Empty if the error is about no peer. errno_of() is what was wrong:
//
//   auto received = co_await socket.receive().result();
//   if (epore::errno_of(received.status()) == ECONNREFUSED) {
//     forget(epore::peer_of(received.status()));
//   }
SocketAddress peer_of(const absl::Status& status);

// Returns the number of a network interface of this machine, for UdpSocket::join() and
// UdpOptions::multicast_interface. `name_or_address` is its name or one of its addresses: "eth0",
// "192.0.2.7", "2001:db8::7". Numbers are never 0. Errors: NotFound if there is no such interface;
// those of if_nametoindex(3) and getifaddrs(3), such as EMFILE.
absl::StatusOr<unsigned> network_interface(std::string_view name_or_address);

// A UdpSocket sends and receives datagrams. Runtime::udp() opens one. See examples/udp_echo.cc. It
// is also the face of a Unix datagram socket: UnixDatagramSocket, below.
//
//   epore::Task<> echo(epore::UdpSocket socket) {
//     while (true) {
//       for (const epore::Datagram& d : co_await socket.receive()) {
//         (void)socket.send(d.bytes, d.peer);
//       }
//     }
//   }
//
// Threads: any thread may call any method.
//
// Ownership, lifetime: copies name the same socket and may outlive the runtime. It is closed by
// close(), by the end of the runtime, and when the last copy is gone, unless it has a callback.
//
// Edges, guaranteed:
//
// 1. Datagrams come and go in batches, with one system call each (recvmmsg(2), sendmmsg(2)). What
//    a callback or a coroutine sends leaves together.
// 2. Nothing is received while nobody waits: then the system keeps datagrams, and drops and counts
//    what its buffer does not hold.
// 3. send() never waits. When its queue is full it says so, and drops the datagram. write() waits.
// 4. While a shutdown drains, sockets go on. They end with the posts and timers; a task that waits
//    is stopped before.
//
// 5. An error of a peer (UdpOptions::icmp_errors) ends neither the socket nor a datagram to another
//    peer. The system keeps errors, too, while nobody waits, in the memory of the receive buffer.
// 6. When the system fails to receive, as it has no memory, nobody is told: the socket tries again,
//    first after 10 ms, later after up to 500. The log has a line a second at most, and
//    UdpCounters::receive_errors counts. So a loop over receive() of a socket that hears of no
//    peers ends only with the socket.
//
// See udp(7), ip(7), ipv6(7), recvmmsg(2).
class UdpSocket {
 public:
  // What was received, valid during the call, or an error of a peer (see UdpOptions::peer and
  // icmp_errors), such as Unavailable (ECONNREFUSED), after which it goes on. If the descriptor is
  // none any more (FailedPrecondition, EBADF) it is told that, and the socket closes.
  using Callback = absl::AnyInvocable<void(UdpSocket&, absl::StatusOr<std::span<const Datagram>>)>;

  UdpSocket();  // names no socket
  UdpSocket(const UdpSocket&);
  UdpSocket(UdpSocket&&) noexcept;
  UdpSocket& operator=(const UdpSocket&);
  UdpSocket& operator=(UdpSocket&&) noexcept;
  ~UdpSocket();

  // Waits in a task, and returns at least one datagram. They are valid until the next receive().
  // What a lost any() or a within() did not take comes next time. Errors: those of a peer, after
  // which it goes on; FailedPrecondition if the socket is closed, has a callback, another coroutine
  // receives, or the descriptor is none any more (EBADF; the socket closes); Cancelled when it is
  // closed, or the task is stopped.
  internal::DatagramOperation receive() const;

  // Copies a datagram into the queue. It leaves soon, from the address `from` if that is not empty
  // (see Datagram::local). Errors, after which it is dropped: ResourceExhausted if the queue is
  // full, or without memory; FailedPrecondition if the socket is closed; InvalidArgument if it has
  // more than 65507 bytes, or no address, or one without a port or of a family that the socket has
  // not (an IPv6 socket sends to IPv4 as well). Ok promises nothing, as with sendto(2).
  absl::Status send(ByteView bytes, const SocketAddress& to, const SocketAddress& from = {}) const;
  absl::Status send(ByteView bytes) const;  // of a connected socket

  // Sends `bytes` as datagrams of `segment` bytes, the last of which may be shorter, with one pass
  // through the system where it has UDP_SEGMENT. At most 64 of them. Errors: as send().
  absl::Status send_segments(ByteView bytes, std::size_t segment, const SocketAddress& to) const;

  // Waits in a task while the queue has no room for the datagram, and then does what send() does.
  // Any number of tasks may write; they take turns in the sequence of their calls. `bytes` and the
  // addresses must live until then. Errors, after which the datagram is not sent: those of send()
  // but for a full queue; InvalidArgument also if it is longer than UdpOptions::send_queue allows;
  // Cancelled when the socket is closed, or the task is stopped.
  internal::DatagramWriteOperation write(ByteView bytes, const SocketAddress& to) const;
  internal::DatagramWriteOperation write(ByteView bytes, const SocketAddress& to,
                                         const SocketAddress& from) const;
  internal::DatagramWriteOperation write(ByteView bytes) const;  // of a connected socket

  // Waits in a task until every datagram that was queued before has left the queue: the system has
  // taken it, or refused it (UdpCounters::send_errors). Errors: FailedPrecondition if the socket is
  // closed; Cancelled when it is closed, or the task is stopped.
  internal::DatagramFlushOperation flush() const;

  // Stops and resumes the callback, which may do so itself. Meanwhile the system keeps datagrams,
  // as guarantee 2 says, and the last error is told when it goes on. In the order of the callback
  // no call begins after pause_receiving(). Elsewhere one may be on its way. Without a callback
  // they do nothing: a task that wants no datagrams does not receive.
  void pause_receiving() const;
  void resume_receiving() const;

  // Joins or leaves a multicast group, on the interface with that number (network_interface()). 0:
  // that of the group's scope, as in "[ff02::fb%eth0]:0", or the system's choice. The port does not
  // matter. A socket that has joined groups hears of no others (IPv6: from Linux 4.20 on). Errors:
  // InvalidArgument if it is no group, or of a family that the socket has not; those of
  // setsockopt(2), such as EADDRINUSE: it has joined already, EADDRNOTAVAIL: it has not, ENODEV:
  // there is no such interface; FailedPrecondition if the socket is closed.
  absl::Status join(const SocketAddress& group, unsigned interface = 0) const;
  absl::Status leave(const SocketAddress& group, unsigned interface = 0) const;

  // The same for what one source sends to the group, RFC 4607. Several sources may be joined.
  absl::Status join_source(const SocketAddress& group, const SocketAddress& source,
                           unsigned interface = 0) const;
  absl::Status leave_source(const SocketAddress& group, const SocketAddress& source,
                            unsigned interface = 0) const;

  // Closes the socket, soon: what was sent before is handed to the system if that takes it at once
  // (flush() waits until it has). A write() that waits ends.
  void close() const;

  SocketAddress address() const;  // its own; empty: this names no socket
  UdpCounters counters() const;

 private:
  friend class Runtime;
  friend class internal::UdpState;
  explicit UdpSocket(internal::Ref<internal::UdpHandle> handle);

  internal::Ref<internal::UdpHandle> handle_;
};

// A datagram socket between processes of one machine. Runtime::unix_datagram() opens one. It has
// the methods of a UdpSocket, so that what serves one serves the other. What differs:
//
// 1. Datagrams keep their order, and none is lost on the way. One that its receiver has no room for
//    waits: on a connected socket until there is room, otherwise for 50 ms, after which it is
//    dropped and counted (UdpCounters::send_errors), as those behind it may be for others.
// 2. Its addresses are "unix:/run/x.sock" and "unix:@name". Its file goes with it.
//
// See unix(7).
using UnixDatagramSocket = UdpSocket;

namespace internal {

class [[nodiscard]] DatagramOperation final : public ListedOperation,
                                              public WithResult<DatagramOperation> {
 public:
  using Value = std::span<const Datagram>;

  explicit DatagramOperation(Ref<UdpState> state);
  DatagramOperation(DatagramOperation&&) noexcept;
  ~DatagramOperation();

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  std::span<const Datagram> take();

 private:
  void cancel(const absl::Status& why) override;
  const char* name() const override { return "UdpSocket::receive"; }

  Ref<UdpState> state_;
};

class [[nodiscard]] DatagramWriteOperation final : public ListedOperation,
                                                   public WithResult<DatagramWriteOperation> {
 public:
  using Value = void;

  // A null address is an empty one.
  DatagramWriteOperation(Ref<UdpState> state, ByteView bytes, const SocketAddress* to,
                         const SocketAddress* from);
  DatagramWriteOperation(DatagramWriteOperation&&) noexcept;
  ~DatagramWriteOperation();

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  void take() {}

  ByteView bytes() const { return bytes_; }
  const SocketAddress& to() const;
  const SocketAddress& from() const;

 private:
  void cancel(const absl::Status& why) override;
  const char* name() const override { return "UdpSocket::write"; }

  Ref<UdpState> state_;
  ByteView bytes_;
  const SocketAddress* to_;
  const SocketAddress* from_;
};

class [[nodiscard]] DatagramFlushOperation final : public ListedOperation,
                                                   public WithResult<DatagramFlushOperation> {
 public:
  using Value = void;

  explicit DatagramFlushOperation(Ref<UdpState> state);
  DatagramFlushOperation(DatagramFlushOperation&&) noexcept;
  ~DatagramFlushOperation();

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  void take() {}

 private:
  friend class UdpSender;

  void cancel(const absl::Status& why) override;
  const char* name() const override { return "UdpSocket::flush"; }

  Ref<UdpState> state_;
  std::uint64_t target_ = 0;  // it waits until so many datagrams have left the queue
};

}  // namespace internal
}  // namespace epore

#endif  // EPORE_RUNTIME_UDP_H_
