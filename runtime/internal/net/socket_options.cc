#include "epore/runtime/internal/net/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::internal {

absl::StatusOr<OwnedFd> open_stream_socket(Kernel& kernel, const SocketAddress& address,
                                           int* error) {
  const SysResult opened =
      kernel.socket(address.data()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    address.is_unix() ? 0 : IPPROTO_TCP);
  if (error != nullptr) *error = opened.error();
  if (!opened.ok()) {
    return errno_status(opened.error(), absl::StrCat("socket for ", address.to_string()));
  }
  return OwnedFd(opened.fd(), kernel);
}

absl::Status set_option(Kernel& kernel, int fd, int level, int option, int value,
                        const char* name) {
  const SysResult set = kernel.setsockopt(fd, level, option, &value, sizeof value);
  if (set.ok()) return absl::OkStatus();
  return errno_status(set.error(), absl::StrCat("setsockopt(fd ", fd, ", ", name, ")"));
}

absl::Status set_connection_options(Kernel& kernel, int fd, const SocketAddress& address,
                                    const ConnectionOptions& options) {
  if (address.is_unix()) return absl::OkStatus();
  if (options.no_delay) {
    absl::Status set = set_option(kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    if (!set.ok()) return set;
  }
  if (options.keep_alive) {
    return set_option(kernel, fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE");
  }
  return absl::OkStatus();
}

SocketAddress local_address_of(Kernel& kernel, int fd) {
  sockaddr_storage storage;
  unsigned size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (!kernel.getsockname(fd, address, &size).ok()) return SocketAddress();
  return SocketAddress::from_sockaddr(address, size);
}

}  // namespace epore::internal
