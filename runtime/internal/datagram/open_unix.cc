#include "epore/runtime/internal/datagram/open_unix.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/printable.h"
#include "epore/runtime/internal/datagram/udp_socket_options.h"
#include "epore/runtime/internal/net/socket_options.h"

namespace epore::internal {
namespace {

// What a Unix socket does not have.
std::string_view foreign_option(const UdpOptions& options) {
  if (options.local_address) return "local_address";
  if (options.receive_offload) return "receive_offload";
  if (options.icmp_errors) return "icmp_errors";
  if (options.reuse_port) return "reuse_port";
  if (options.reuse_address) return "reuse_address";
  if (options.broadcast) return "broadcast";
  if (options.hops != 0) return "hops";
  if (options.traffic_class) return "traffic_class";
  if (options.multicast_interface != 0) return "multicast_interface";
  if (options.multicast_hops != 1) return "multicast_hops";
  if (!options.multicast_loop) return "multicast_loop";
  return "";
}

// The system gives the socket an abstract name, so that peers can answer (unix(7), "Autobind").
absl::Status bind_anywhere(Kernel& kernel, int fd, const std::string& call) {
  sockaddr any = {};
  any.sa_family = AF_UNIX;
  const SysResult bound = kernel.bind(fd, &any, sizeof any.sa_family);
  if (bound.ok()) return absl::OkStatus();
  return errno_status(bound.error(), absl::StrCat(call, ": bind"));
}

}  // namespace

absl::StatusOr<OpenUdp> open_unix(Kernel& kernel, std::string_view text,
                                  const UdpOptions& options) {
  if (absl::Status bad = options.check(); !bad.ok()) return bad;
  const std::string call = absl::StrCat("unix_datagram(\"", printable(text), "\")");
  const auto refused = [&](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(call, ": ", why));
  };
  SocketAddress address;
  if (!text.empty()) {
    const absl::StatusOr<SocketAddress> parsed = SocketAddress::parse(text);
    if (!parsed.ok()) return parsed.status();
    address = *parsed;
    if (!address.is_unix()) return refused("not a Unix socket; Runtime::udp() is for UDP");
  }
  if (!options.peer.is_empty() && !options.peer.is_unix()) {
    return refused("UdpOptions::peer is no Unix socket");
  }
  if (const std::string_view option = foreign_option(options); !option.empty()) {
    return refused(absl::StrCat("UdpOptions::", option, " is for UDP"));
  }
  const SysResult opened = kernel.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (!opened.ok()) return errno_status(opened.error(), absl::StrCat(call, ": socket"));
  OpenUdp socket;
  socket.fd = OwnedFd(opened.fd(), kernel);
  const int fd = socket.fd.get();
  if (absl::Status set = set_unix_datagram_options(kernel, fd, options); !set.ok()) return set;
  if (options.unix_mode) {
    // The file gets the mode of its socket, so it never has another one.
    const SysResult set = kernel.fchmod(fd, *options.unix_mode);
    if (!set.ok()) return errno_status(set.error(), absl::StrCat(call, ": fchmod"));
  }
  if (address.is_empty()) {
    if (absl::Status bad = bind_anywhere(kernel, fd, call); !bad.ok()) return bad;
    address = local_address_of(kernel, fd);
    if (address.is_empty()) {
      return absl::UnknownError(absl::StrCat(call, ": getsockname is refused"));
    }
  } else {
    absl::StatusOr<std::unique_ptr<SocketFile>> file =
        SocketFile::bind_datagram(kernel, fd, address);
    if (!file.ok()) return file.status();
    socket.file = *std::move(file);
  }
  if (!options.peer.is_empty()) {
    const SysResult connected = kernel.connect(fd, options.peer.data(), options.peer.size());
    if (!connected.ok()) {
      return errno_status(connected.error(),
                          absl::StrCat(call, ": connect(", options.peer.to_string(), ")"));
    }
  }
  socket.address = address;
  return socket;
}

}  // namespace epore::internal
