#include "examples/client_request.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace examples {

absl::StatusOr<std::vector<Address>> resolve(const std::string& host, const std::string& port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  // A bare container has no /etc/hosts; no host at all is the loopback addresses.
  if (error != 0 && host == "localhost") {
    error = ::getaddrinfo(nullptr, port.c_str(), &hints, &list);
  }
  if (error != 0) return absl::NotFoundError(absl::StrCat(host, ": ", ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Address& address = addresses.emplace_back();
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
  }
  return addresses;
}

void ClientRequest::start(epore::Registry& registry) { connect_next(registry); }

void ClientRequest::on_event(epore::Registry& registry) {
  if (is_done_) return;
  if (sent_ < request_.size())
    send_some(registry);
  else
    receive_some(registry);
}

void ClientRequest::connect_next(epore::Registry& registry) {
  hang_up(registry);
  while (next_address_ < addresses_.size()) {
    const absl::Status connecting = connect_to(registry, addresses_[next_address_++]);
    if (connecting.ok()) return;
    failure_.Update(connecting);
  }
  failure_.Update(absl::NotFoundError("no address to connect to"));
  finish(registry, failure_);
}

absl::Status ClientRequest::connect_to(epore::Registry& registry, const Address& address) {
  const auto* const name = reinterpret_cast<const sockaddr*>(&address.storage);
  fd_ = epore::OwnedFd(::socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_.is_valid()) return absl::ErrnoToStatus(errno, "socket");
  // An interrupted connect goes on like one in progress, see connect(2).
  if (::connect(fd_.get(), name, address.size) != 0 && errno != EINPROGRESS && errno != EINTR) {
    return absl::ErrnoToStatus(errno, "connect");
  }
  return registry.register_fd(fd_.get(), token_, epore::Interest::writable());
}

void ClientRequest::send_some(epore::Registry& registry) {
  while (sent_ < request_.size()) {
    const ssize_t sent =
        ::send(fd_.get(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (sent >= 0) {
      sent_ += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN || errno == ENOTCONN) {  // no room, or not connected yet
      return;
    } else if (errno != EINTR) {
      const absl::Status error = absl::ErrnoToStatus(errno, sent_ == 0 ? "connect" : "send");
      if (sent_ > 0) return finish(registry, error);
      failure_.Update(error);  // before the first byte it is the connect that failed
      return connect_next(registry);
    }
  }
  // From now on readable alone: where there are no edges, writable would be told by every poll.
  const absl::Status status =
      registry.reregister_fd(fd_.get(), token_, epore::Interest::readable());
  if (!status.ok()) finish(registry, status);
}

void ClientRequest::receive_some(epore::Registry& registry) {
  for (;;) {
    char buffer[16 * 1024];
    const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (size > 0) {
      const std::string_view bytes(buffer, static_cast<std::size_t>(size));
      received_ += bytes;
      answered_ += bytes.size();
      if (answered_ > kLongestAnswer) {
        return finish(registry, absl::OutOfRangeError("the answer is too long"));
      }
      if (!response_.feed(bytes)) return finish(registry, absl::DataLossError("not HTTP"));
    } else if (size == 0) {
      response_.end();
      if (!response_.is_complete()) {
        return finish(registry, absl::DataLossError("closed before the answer was complete"));
      }
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      return finish(registry, absl::ErrnoToStatus(errno, "recv"));
    }
    if (response_.is_complete()) return finish(registry, absl::OkStatus());
  }
}

void ClientRequest::finish(epore::Registry& registry, absl::Status status) {
  hang_up(registry);
  is_done_ = true;
  status_ = std::move(status);
}

void ClientRequest::hang_up(epore::Registry& registry) {
  if (!fd_.is_valid()) return;
  // NotFound where connecting failed at once, before it was registered.
  const absl::Status gone = registry.deregister_fd(fd_.get());
  fd_.reset();
}

}  // namespace examples
