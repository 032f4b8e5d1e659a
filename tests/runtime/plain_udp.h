#ifndef EPORE_TESTS_RUNTIME_PLAIN_UDP_H_
#define EPORE_TESTS_RUNTIME_PLAIN_UDP_H_

#include <sys/socket.h>
#include <sys/time.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"

namespace epore {

// A blocking UDP socket of the test's own, past every Kernel. A receive() that would wait for more
// than a minute fails the test by a CHECK.
class PlainUdp {
 public:
  explicit PlainUdp(std::string_view address = "127.0.0.1:0")
      : fd_(::socket(address[0] == '[' ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const timeval guard = {60, 0};
    PCHECK(::setsockopt(fd(), SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard) == 0);
    const int room = 200'000;  // for some hundred datagrams that nobody has received yet
    PCHECK(::setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room) == 0);
    const SocketAddress bound = SocketAddress::parse(address).value();
    PCHECK(::bind(fd(), bound.data(), bound.size()) == 0);
    sockaddr_storage storage;
    socklen_t size = sizeof storage;
    PCHECK(::getsockname(fd(), reinterpret_cast<sockaddr*>(&storage), &size) == 0);
    address_ = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size);
  }

  int fd() const { return fd_.get(); }
  const SocketAddress& address() const { return address_; }

  void send(std::string_view bytes, const SocketAddress& to) {
    PCHECK(::sendto(fd(), bytes.data(), bytes.size(), 0, to.data(), to.size()) >= 0);
  }
  // From here on a datagram from anybody is refused, as if nobody had the port. It stays taken, so
  // that nobody else is given it.
  void refuse_all() {
    const SocketAddress nobody = address_.with_port(1);
    PCHECK(::connect(fd(), nobody.data(), nobody.size()) == 0);
  }

  std::string receive(SocketAddress* from = nullptr) {
    std::string bytes(70000, '\0');
    sockaddr_storage storage;
    socklen_t size = sizeof storage;
    auto* const name = reinterpret_cast<sockaddr*>(&storage);
    const ssize_t count = ::recvfrom(fd(), bytes.data(), bytes.size(), 0, name, &size);
    PCHECK(count >= 0);
    if (from != nullptr) *from = SocketAddress::from_sockaddr(name, size);
    bytes.resize(static_cast<std::size_t>(count));
    return bytes;
  }

 private:
  OwnedFd fd_;
  SocketAddress address_;
};

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_PLAIN_UDP_H_
