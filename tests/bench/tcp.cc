#include "tests/bench/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"

namespace epore::bench {
namespace {

constexpr int kOn = 1;

absl::StatusOr<OwnedFd> open_socket(int more_flags) {
  OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | more_flags, 0));
  if (!fd.is_valid()) return errno_status(errno, "socket");
  return fd;
}

}  // namespace

absl::StatusOr<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  Endpoint endpoint;
  endpoint.address.sin_family = AF_INET;
  std::uint32_t port = 0;
  if (colon == std::string_view::npos ||
      ::inet_pton(AF_INET, std::string(text.substr(0, colon)).c_str(),
                  &endpoint.address.sin_addr) != 1 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no IPv4 address and port like 127.0.0.1:7000"));
  }
  endpoint.address.sin_port = htons(static_cast<std::uint16_t>(port));
  return endpoint;
}

std::string Endpoint::to_string() const {
  char host[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
  return absl::StrCat(host, ":", ntohs(address.sin_port));
}

absl::StatusOr<OwnedFd> listen_tcp(const Endpoint& local) {
  absl::StatusOr<OwnedFd> fd = open_socket(SOCK_NONBLOCK);
  if (!fd.ok()) return fd;
  ::setsockopt(fd->get(), SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof kOn);
  if (::bind(fd->get(), local.data(), sizeof local.address) != 0) {
    return errno_status(errno, absl::StrCat("bind to ", local.to_string()));
  }
  if (::listen(fd->get(), 4096) != 0) return errno_status(errno, "listen");
  return fd;
}

absl::StatusOr<Endpoint> local_endpoint(int fd) {
  Endpoint endpoint;
  socklen_t size = sizeof endpoint.address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&endpoint.address), &size) != 0) {
    return errno_status(errno, "getsockname");
  }
  return endpoint;
}

absl::StatusOr<OwnedFd> start_connect(const Endpoint& server, const Endpoint* local) {
  absl::StatusOr<OwnedFd> fd = open_socket(SOCK_NONBLOCK);
  if (!fd.ok()) return fd;
  ::setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  if (local != nullptr) {
    // The port is chosen at connect(2), so that only the pair with the server's must be unused.
    ::setsockopt(fd->get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &kOn, sizeof kOn);
    if (::bind(fd->get(), local->data(), sizeof local->address) != 0) {
      return errno_status(errno, absl::StrCat("bind to ", local->to_string()));
    }
  }
  if (::connect(fd->get(), server.data(), sizeof server.address) != 0 && errno != EINPROGRESS) {
    return errno_status(errno, absl::StrCat("connect to ", server.to_string()));
  }
  return fd;
}

int socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

absl::Status reserve_descriptors(int count) {
  constexpr rlim_t kOthers = 64;
  const rlim_t needed = static_cast<rlim_t>(count) + kOthers;
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return errno_status(errno, "getrlimit");
  if (limit.rlim_cur >= needed) return absl::OkStatus();
  if (limit.rlim_max < needed) {
    return absl::ResourceExhaustedError(absl::StrCat(
        count, " connections need ", needed, " descriptors, the limit is ", limit.rlim_max));
  }
  limit.rlim_cur = needed;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return errno_status(errno, "setrlimit");
  return absl::OkStatus();
}

}  // namespace epore::bench
