#include "tests/bench/micro_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::bench {
namespace {

// Sends the bytes and waits for as many.
absl::Status echo_once(int fd, const char* bytes, std::size_t size) {
  std::array<char, 64> received;
  if (::send(fd, bytes, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) {
    return errno_status(errno, "send");
  }
  const ssize_t count = ::recv(fd, received.data(), size, MSG_WAITALL);
  if (count < 0) return errno_status(errno, "recv");
  if (count != static_cast<ssize_t>(size)) return absl::UnavailableError("the server hung up");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MicroClient> MicroClient::create(const std::string& server, int connections) {
  const absl::StatusOr<Endpoint> endpoint = Endpoint::parse(server);
  if (!endpoint.ok()) return endpoint.status();
  absl::Status reserved = reserve_descriptors(2 * connections);  // both ends
  if (!reserved.ok()) return reserved;
  MicroClient client(*endpoint);
  client.connections_.reserve(static_cast<std::size_t>(connections));
  return client;
}

absl::Status MicroClient::open(int connections) {
  for (int i = 0; i < connections; ++i) {
    OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd.get() < 0) return errno_status(errno, "socket");
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd.get(), server_.data(), sizeof server_.address) != 0) {
      return errno_status(errno, "connect");
    }
    absl::Status echoed = echo_once(fd.get(), "x", 1);
    if (!echoed.ok()) return echoed;
    connections_.push_back(std::move(fd));
  }
  return absl::OkStatus();
}

absl::StatusOr<Stopwatch::Time> MicroClient::echo(int messages) {
  constexpr std::array<char, 64> kMessage = {};
  const Stopwatch watch;
  for (int i = 0; i < messages; ++i) {
    absl::Status echoed = echo_once(connections_.front().get(), kMessage.data(), kMessage.size());
    if (!echoed.ok()) return echoed;
  }
  return watch.so_far();
}

}  // namespace epore::bench
