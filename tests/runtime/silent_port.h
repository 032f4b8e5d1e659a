#ifndef EPORE_TESTS_RUNTIME_SILENT_PORT_H_
#define EPORE_TESTS_RUNTIME_SILENT_PORT_H_

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"

namespace epore {

// A port that answers nothing: its backlog is full, so that the system drops who comes.
class SilentPort {
 public:
  // `host` is a number of this machine, such as "127.0.0.2" or "[::1]".
  explicit SilentPort(const std::string& host = "127.0.0.1") {
    const absl::StatusOr<SocketAddress> any = SocketAddress::parse(absl::StrCat(host, ":0"));
    CHECK_OK(any.status());
    listener_ = open(*any);
    PCHECK(::bind(listener_.get(), any->data(), any->size()) == 0);
    PCHECK(::listen(listener_.get(), 0) == 0);
    sockaddr_storage name;
    unsigned size = sizeof name;
    PCHECK(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0);
    address_ = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&name), size);
    first_ = start();
    pollfd connected = {.fd = first_.get(), .events = POLLOUT, .revents = 0};
    PCHECK(::poll(&connected, 1, -1) == 1);
    // Whether the first one or the second fills it depends on the system.
    second_ = start();
  }

  std::string address() const { return address_.to_string(); }
  int port() const { return address_.port(); }

 private:
  static OwnedFd open(const SocketAddress& address) {
    OwnedFd fd(::socket(address.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    PCHECK(fd.is_valid());
    return fd;
  }

  OwnedFd start() const {
    OwnedFd fd = open(address_);
    const int result = ::connect(fd.get(), address_.data(), address_.size());
    PCHECK(result == 0 || errno == EINPROGRESS);
    return fd;
  }

  OwnedFd listener_;
  SocketAddress address_;
  OwnedFd first_;
  OwnedFd second_;
};

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_SILENT_PORT_H_
