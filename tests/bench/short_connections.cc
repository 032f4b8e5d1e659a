#include "tests/bench/short_connections.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/stream_pattern.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr std::uint32_t kSources = 250;
constexpr std::size_t kMaxMessage = 16 * 1024;

Endpoint source(std::uint64_t number) {
  Endpoint endpoint;
  endpoint.address.sin_family = AF_INET;
  endpoint.address.sin_addr.s_addr =
      htonl(0x7f010001u + static_cast<std::uint32_t>(number % kSources));
  return endpoint;
}

}  // namespace

absl::Status ShortConnectionsOptions::check() const {
  if (parallel < 1) return absl::InvalidArgumentError("parallel must be at least 1");
  if (message_size < 1 || message_size > kMaxMessage) {
    return absl::InvalidArgumentError(
        absl::StrCat("the message size must be 1 to ", kMaxMessage, " bytes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ShortConnections>> ShortConnections::make(
    const Endpoint& server, const ShortConnectionsOptions& options) {
  if (absl::Status status = options.check(); !status.ok()) return status;
  if (absl::Status status = reserve_descriptors(options.parallel); !status.ok()) return status;
  OwnedFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_valid()) return errno_status(errno, "epoll_create1");
  return absl::WrapUnique(new ShortConnections(server, options, std::move(epoll)));
}

ShortConnections::ShortConnections(const Endpoint& server, const ShortConnectionsOptions& options,
                                   OwnedFd epoll)
    : server_(server),
      options_(options),
      epoll_(std::move(epoll)),
      clients_(static_cast<std::size_t>(options.parallel)),
      events_(clients_.size()) {}

absl::Status ShortConnections::run(std::uint64_t count) {
  std::uint64_t left = count;  // to be started
  std::uint64_t active = 0;
  for (std::size_t i = 0; i < clients_.size() && left > 0; ++i, --left, ++active) {
    if (absl::Status status = start(i); !status.ok()) return status;
  }
  while (active > 0) {
    const int ready =
        ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()),
                     static_cast<int>(absl::ToInt64Milliseconds(options_.stall_timeout)));
    if (ready < 0 && errno != EINTR) return errno_status(errno, "epoll_wait");
    if (ready == 0) {
      return absl::DeadlineExceededError(
          absl::StrCat("nothing happened for ", absl::FormatDuration(options_.stall_timeout),
                       " on ", active, " connections, after ", started_ - active, " others"));
    }
    for (int i = 0; i < ready; ++i) {
      const std::size_t index = events_[static_cast<std::size_t>(i)].data.u64;
      Client& client = clients_[index];
      if (absl::Status status = handle(client); !status.ok()) {
        return absl::Status(status.code(), absl::StrCat("after ", started_ - active,
                                                        " connections: ", status.message()));
      }
      if (client.fd.is_valid()) continue;
      --active;
      if (left == 0) continue;
      if (absl::Status status = start(index); !status.ok()) return status;
      --left;
      ++active;
    }
  }
  return absl::OkStatus();
}

absl::Status ShortConnections::start(std::size_t index) {
  const Endpoint local = source(started_);
  absl::StatusOr<OwnedFd> fd = start_connect(server_, &local);
  if (!fd.ok()) return fd.status();
  epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = index}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd->get(), &event) != 0) {
    return errno_status(errno, "epoll_ctl");
  }
  clients_[index] = {.fd = *std::move(fd), .begin = started_ * 7919, .received = 0};
  ++started_;
  return absl::OkStatus();
}

// Closes client.fd when the connection has ended as it should.
absl::Status ShortConnections::handle(Client& client) {
  if (!client.is_connected) {
    if (absl::Status status = connected(client); !status.ok()) return status;
  }
  return receive(client);
}

absl::Status ShortConnections::connected(Client& client) {
  if (const int error = socket_error(client.fd.get()); error != 0) {
    return errno_status(error, absl::StrCat("connect to ", server_.to_string()));
  }
  client.is_connected = true;
  const ssize_t sent = ::send(client.fd.get(), pattern_.at(client.begin), options_.message_size,
                              MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return errno_status(errno, "send");
  if (static_cast<std::size_t>(sent) != options_.message_size) {
    return absl::InternalError("a new connection did not take a whole message");
  }
  return absl::OkStatus();
}

absl::Status ShortConnections::receive(Client& client) {
  char buffer[kMaxMessage];
  for (;;) {
    const ssize_t size = ::recv(client.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return absl::OkStatus();
    if (size < 0) return errno_status(errno, "recv");
    if (size == 0) {
      if (client.received < options_.message_size) {
        return absl::UnavailableError("the server closed before it had sent everything");
      }
      client.fd.reset();
      return absl::OkStatus();
    }
    const auto bytes = static_cast<std::size_t>(size);
    if (client.received + bytes > options_.message_size ||
        !pattern_.matches(client.begin + client.received, buffer, bytes)) {
      return absl::DataLossError("wrong bytes came back");
    }
    client.received += bytes;
    if (client.received == options_.message_size) {
      if (absl::Status status = finish(client); !status.ok()) return status;
      if (!client.fd.is_valid()) return absl::OkStatus();
    }
  }
}

absl::Status ShortConnections::finish(Client& client) {
  if (options_.end == ConnectionEnd::reset) {
    const linger at_once = {.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client.fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    client.fd.reset();
  } else if (::shutdown(client.fd.get(), SHUT_WR) != 0) {
    return errno_status(errno, "shutdown");
  }
  return absl::OkStatus();
}

}  // namespace epore::bench
