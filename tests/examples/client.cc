#include "tests/examples/client.h"

#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace examples {
namespace {

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

Addresses numeric(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host[0] == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* list = nullptr;
  const std::string port = address.substr(colon + 1);
  CHECK_EQ(::getaddrinfo(host.c_str(), port.c_str(), &hints, &list), 0) << address;
  return {list, ::freeaddrinfo};
}

epore::OwnedFd connect_to_file(const std::string& path) {
  sockaddr_un file = {};
  file.sun_family = AF_UNIX;
  CHECK_LT(path.size(), sizeof file.sun_path);
  path.copy(file.sun_path, path.size());
  epore::OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(fd.is_valid());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&file), sizeof file) != 0) fd.reset();
  return fd;
}

// The socket is invalid if connecting fails.
epore::OwnedFd connect_to(const std::string& address) {
  if (address.starts_with("unix:/")) return connect_to_file(address.substr(5));
  const Addresses list = numeric(address);
  epore::OwnedFd fd(::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(fd.is_valid());
  if (::connect(fd.get(), list->ai_addr, list->ai_addrlen) != 0) fd.reset();
  return fd;
}

}  // namespace

Client::Client(const std::string& address) : fd_(connect_to(address)) {
  PCHECK(fd_.is_valid()) << address;
  const timeval limit = {.tv_sec = 20, .tv_usec = 0};
  PCHECK(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
  PCHECK(::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::size_t Client::send_until_stuck(std::string_view unit, std::size_t most) {
  std::size_t total = 0;
  int waited = -1;  // how many bytes the peer had not taken at the last look
  while (total < most) {
    pollfd entry = {.fd = fd_.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&entry, 1, 500) == 0) {
      // A peer that is only slow takes some, though too little to make the socket writable.
      int waiting = 0;
      PCHECK(::ioctl(fd_.get(), SIOCOUTQ, &waiting) == 0);
      if (std::exchange(waited, waiting) == waiting) break;
      continue;
    }
    // Goes on in the middle of a unit where the last call stopped.
    const std::string_view rest = unit.substr(total % unit.size());
    const ssize_t sent = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) break;
    if (sent > 0) total += static_cast<std::size_t>(sent);
  }
  return total;
}

void Client::half_close() { PCHECK(::shutdown(fd_.get(), SHUT_WR) == 0); }

void Client::reset() {
  const linger hard = {.l_onoff = 1, .l_linger = 0};
  PCHECK(::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard) == 0);
  fd_.reset();
}

bool Client::read_some() {
  char buffer[64 * 1024];
  const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
  if (size > 0) unread_.append(buffer, static_cast<std::size_t>(size));
  if (size < 0 && errno == EAGAIN) ADD_FAILURE() << "nothing came for 20 s";
  if (size < 0 && errno == ECONNRESET) was_reset_ = true;
  return size > 0;
}

std::string Client::read_response() {
  constexpr std::string_view kEnd = "\r\n\r\n";
  constexpr std::string_view kLength = "content-length: ";
  std::size_t head = 0;
  while ((head = unread_.find(kEnd)) == unread_.npos) {
    if (!read_some()) return read_exactly(unread_.size());
  }
  const std::size_t length = absl::AsciiStrToLower(unread_.substr(0, head)).find(kLength);
  std::size_t body = 0;
  if (length < head) body = std::strtoul(unread_.c_str() + length + kLength.size(), nullptr, 10);
  return read_exactly(head + kEnd.size() + body);
}

std::string Client::read_exactly(std::size_t size) {
  while (unread_.size() < size && read_some()) continue;
  const std::string taken = unread_.substr(0, size);
  unread_.erase(0, taken.size());
  return taken;
}

std::string Client::read_to_end() {
  while (read_some()) continue;
  return read_exactly(unread_.size());
}

bool is_refused(const std::string& address) { return !connect_to(address).is_valid(); }

std::string body_of(const std::string& response) {
  const std::size_t end = response.find("\r\n\r\n");
  return end == response.npos ? "" : response.substr(end + 4);
}

}  // namespace examples
