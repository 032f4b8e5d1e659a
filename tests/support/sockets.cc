#include "tests/support/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/log/check.h"

namespace epore {
namespace {

constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;

OwnedFd tcp_socket() {
  OwnedFd fd(::socket(AF_INET, SOCK_STREAM | kFlags, 0));
  PCHECK(fd.is_valid());
  return fd;
}

sockaddr_in loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

TcpPort bound_port() {
  OwnedFd fd = tcp_socket();
  sockaddr_in address = loopback(0);
  PCHECK(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  PCHECK(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return {std::move(fd), ntohs(address.sin_port)};
}

void wait_for(int fd, short events) {
  pollfd request = {fd, events, 0};
  while (::poll(&request, 1, -1) < 0) PCHECK(errno == EINTR);
}

}  // namespace

SocketPair unix_pair() {
  int fds[2];
  PCHECK(::socketpair(AF_UNIX, SOCK_STREAM | kFlags, 0, fds) == 0);
  return {OwnedFd(fds[0]), OwnedFd(fds[1])};
}

SocketPair tcp_pair() {
  TcpPort listener = tcp_listener(1);
  OwnedFd client = start_connect(listener.port);
  wait_for(listener.fd.get(), POLLIN);
  OwnedFd server(::accept4(listener.fd.get(), nullptr, nullptr, kFlags));
  PCHECK(server.is_valid());
  wait_for(client.get(), POLLOUT);
  const int on = 1;
  for (int fd : {client.get(), server.get()}) {
    PCHECK(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
  }
  return {std::move(client), std::move(server)};
}

Pipe make_pipe() {
  int fds[2];
  PCHECK(::pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
  return {OwnedFd(fds[0]), OwnedFd(fds[1])};
}

TcpPort tcp_listener(int backlog) {
  TcpPort listener = bound_port();
  PCHECK(::listen(listener.fd.get(), backlog) == 0);
  return listener;
}

TcpPort refusing_port() { return bound_port(); }

OwnedFd start_connect(int port) {
  OwnedFd fd = tcp_socket();
  const sockaddr_in address = loopback(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    PCHECK(errno == EINPROGRESS || errno == ECONNREFUSED);
  }
  return fd;
}

void write_all(int fd, std::string_view bytes) {
  const ssize_t written = ::write(fd, bytes.data(), bytes.size());
  PCHECK(written >= 0);
  CHECK_EQ(static_cast<std::size_t>(written), bytes.size());
}

std::string read_available(int fd) {
  std::string bytes;
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count > 0) bytes.append(buffer, static_cast<std::size_t>(count));
    if (count == 0) return bytes;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      PCHECK(errno == EAGAIN);
      return bytes;
    }
  }
}

std::string read_some(int fd) {
  wait_for(fd, POLLIN);
  return read_available(fd);
}

std::size_t fill(int fd) {
  static const std::string kBytes(65536, 'x');
  std::size_t total = 0;
  // Big pieces first, then single bytes: a stream may refuse the former while it has room for the
  // latter.
  for (std::size_t size : {kBytes.size(), std::size_t{1}}) {
    ssize_t written;
    while ((written = ::write(fd, kBytes.data(), size)) > 0) {
      total += static_cast<std::size_t>(written);
    }
    PCHECK(errno == EAGAIN);
  }
  return total;
}

void half_close(int fd) { PCHECK(::shutdown(fd, SHUT_WR) == 0); }

void reset(OwnedFd& fd) {
  const linger now = {1, 0};
  PCHECK(::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
  fd.reset();
}

int take_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  PCHECK(::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
  return error;
}

}  // namespace epore
