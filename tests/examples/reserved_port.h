#ifndef EPORE_TESTS_EXAMPLES_RESERVED_PORT_H_
#define EPORE_TESTS_EXAMPLES_RESERVED_PORT_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/owned_fd.h"

namespace examples {

// A port that nobody gets but who shares it (SO_REUSEPORT): for a program that takes no port 0. It
// does not listen, so it takes no connection.
class ReservedPort {
 public:
  ReservedPort() {
    const int on = 1;
    PCHECK(::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    PCHECK(::bind(fd_.get(), any, size) == 0);
    PCHECK(::getsockname(fd_.get(), any, &size) == 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }

  const std::string& address() const { return address_; }

 private:
  const epore::OwnedFd fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string address_;
};

}  // namespace examples

#endif  // EPORE_TESTS_EXAMPLES_RESERVED_PORT_H_
