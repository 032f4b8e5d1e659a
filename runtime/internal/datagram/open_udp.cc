#include "epore/runtime/internal/datagram/open_udp.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/printable.h"
#include "epore/runtime/internal/datagram/udp_socket_options.h"
#include "epore/runtime/internal/net/option_setter.h"
#include "epore/runtime/internal/net/socket_options.h"

namespace epore::internal {
namespace {

// Where datagrams go to when the caller names only the peer.
absl::StatusOr<SocketAddress> address_of(std::string_view text, const UdpOptions& options) {
  if (text.empty()) {
    if (options.peer.is_empty()) {
      return absl::InvalidArgumentError("udp(\"\"): neither an address nor a peer");
    }
    return SocketAddress::parse(options.peer.is_ipv6() ? "[::]:0" : "0.0.0.0:0");
  }
  if (text.front() == ':') {  // as listen() takes it, for all addresses of both families
    return absl::InvalidArgumentError(absl::StrCat("udp(\"", printable(text),
                                                   "\"): no host; write 0.0.0.0", printable(text),
                                                   " or [::]", printable(text)));
  }
  return SocketAddress::parse(text);
}

bool set_gro(Kernel& kernel, int fd) {
  return set_option(kernel, fd, IPPROTO_UDP, kUdpGro, 1, "UDP_GRO").ok();
}

bool has_gso(Kernel& kernel, int fd) {
  int value = 0;
  unsigned size = sizeof value;
  return kernel.getsockopt(fd, IPPROTO_UDP, kUdpSegment, &value, &size).ok();
}

}  // namespace

absl::StatusOr<OpenUdp> open_udp(Kernel& kernel, std::string_view text, const UdpOptions& options) {
  if (absl::Status bad = options.check(); !bad.ok()) return bad;
  absl::StatusOr<SocketAddress> address = address_of(text, options);
  if (!address.ok()) return address.status();
  if (address->is_unix() || options.peer.is_unix()) {
    return absl::InvalidArgumentError(
        absl::StrCat("udp(\"", printable(text),
                     "\"): a Unix socket is no UDP socket; Runtime::unix_datagram() opens it"));
  }
  if (!options.peer.is_empty() && options.peer.port() == 0) {
    return absl::InvalidArgumentError(absl::StrCat("udp(\"", printable(text),
                                                   "\"): UdpOptions::peer, ",
                                                   options.peer.to_string(), ", has no port"));
  }
  if (options.unix_mode) {
    return absl::InvalidArgumentError(
        absl::StrCat("udp(\"", printable(text), "\"): UdpOptions::unix_mode is for a Unix socket"));
  }
  const std::string call = absl::StrCat("udp(", address->to_string(), ")");
  const SysResult opened = kernel.socket(address->is_ipv6() ? AF_INET6 : AF_INET,
                                         SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (!opened.ok()) return errno_status(opened.error(), absl::StrCat(call, ": socket"));
  OpenUdp socket;
  socket.fd = OwnedFd(opened.fd(), kernel);
  const int fd = socket.fd.get();
  if (absl::Status set = set_udp_options(kernel, fd, *address, options); !set.ok()) return set;
  // Without these a socket counts and copies less well, and works.
  (void)set_option(kernel, fd, SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
  socket.has_gso = has_gso(kernel, fd);
  socket.has_gro = options.receive_offload && set_gro(kernel, fd);
  const SysResult bound = kernel.bind(fd, address->data(), address->size());
  if (!bound.ok()) return errno_status(bound.error(), absl::StrCat(call, ": bind"));
  if (!options.peer.is_empty()) {
    const SysResult connected = kernel.connect(fd, options.peer.data(), options.peer.size());
    if (!connected.ok()) {
      return errno_status(connected.error(),
                          absl::StrCat(call, ": connect(", options.peer.to_string(), ")"));
    }
  }
  socket.address = local_address_of(kernel, fd);
  if (socket.address.is_empty()) {
    return absl::UnknownError(absl::StrCat(call, ": getsockname is refused"));
  }
  return socket;
}

}  // namespace epore::internal
