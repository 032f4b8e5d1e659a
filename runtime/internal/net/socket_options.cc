#include "epore/runtime/internal/net/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/net/option_setter.h"

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

namespace {

std::int64_t whole_seconds(absl::Duration duration) {
  return absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)));
}
std::int64_t whole_milliseconds(absl::Duration duration) {
  return absl::ToInt64Milliseconds(absl::Ceil(duration, absl::Milliseconds(1)));
}

void set_tcp_options(OptionSetter& setter, const ConnectionOptions& options, SocketUse use) {
  constexpr absl::Duration kNone = absl::ZeroDuration();
  setter.set(options.no_delay, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  const bool by_default = use == SocketUse::listens || options.has_keep_alive_times();
  setter.set(options.keep_alive.has_value() || by_default, SOL_SOCKET, SO_KEEPALIVE,
             options.keep_alive.value_or(true) ? 1 : 0, "SO_KEEPALIVE");
  setter.set(options.keep_alive_idle != kNone, IPPROTO_TCP, TCP_KEEPIDLE,
             whole_seconds(options.keep_alive_idle), "TCP_KEEPIDLE");
  setter.set(options.keep_alive_interval != kNone, IPPROTO_TCP, TCP_KEEPINTVL,
             whole_seconds(options.keep_alive_interval), "TCP_KEEPINTVL");
  setter.set(options.keep_alive_probes != 0, IPPROTO_TCP, TCP_KEEPCNT, options.keep_alive_probes,
             "TCP_KEEPCNT");
  setter.set(options.user_timeout != absl::InfiniteDuration(), IPPROTO_TCP, TCP_USER_TIMEOUT,
             whole_milliseconds(options.user_timeout), "TCP_USER_TIMEOUT");
}

}  // namespace

absl::Status set_connection_options(Kernel& kernel, int fd, const SocketAddress& address,
                                    const ConnectionOptions& options, SocketUse use) {
  OptionSetter setter(kernel, fd);
  setter.set(options.send_buffer != 0, SOL_SOCKET, SO_SNDBUF, options.send_buffer, "SO_SNDBUF");
  setter.set(options.receive_buffer != 0, SOL_SOCKET, SO_RCVBUF, options.receive_buffer,
             "SO_RCVBUF");
  if (!address.is_unix()) {
    set_tcp_options(setter, options, use);
    if (options.traffic_class) {
      setter.set_traffic_class(address.is_ipv6(), *options.traffic_class);
    }
  }
  setter.call(options.on_socket);
  return setter.take();
}

absl::Status bind_local(Kernel& kernel, int fd, const SocketAddress& local,
                        const SocketAddress& peer) {
  if (local.port() != 0) {
    // A port that is asked for may have been used a minute ago.
    absl::Status set = set_option(kernel, fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    if (!set.ok()) return set;
  } else {
    // The port is then chosen by connect(2), so that one may serve connections to several peers
    // (ip(7)). Without it there are fewer ports, and all else is as well.
    const int yes = 1;
    (void)kernel.setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
  }
  const SysResult bound = kernel.bind(fd, local.data(), local.size());
  if (bound.ok()) return absl::OkStatus();
  return errno_status(bound.error(), absl::StrCat("bind(", local.to_string(), "), to connect to ",
                                                  peer.to_string()));
}

SocketAddress local_address_of(Kernel& kernel, int fd) {
  sockaddr_storage storage;
  unsigned size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (!kernel.getsockname(fd, address, &size).ok()) return SocketAddress();
  return SocketAddress::from_sockaddr(address, size);
}

}  // namespace epore::internal
