#ifndef EPORE_TESTS_SUPPORT_SOCKETS_H_
#define EPORE_TESTS_SUPPORT_SOCKETS_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "epore/poll/owned_fd.h"

namespace epore {

// Descriptors for tests, made straight from the system and not through a Kernel, so that a test's
// own calls are neither counted nor made to fail. All are non-blocking and close-on-exec. What
// cannot fail in a sane environment is CHECKed.

// Two ends of one connection.
struct SocketPair {
  OwnedFd a;
  OwnedFd b;
};
SocketPair unix_pair();
SocketPair tcp_pair();  // over the loopback interface, TCP_NODELAY

struct Pipe {
  OwnedFd reader;
  OwnedFd writer;
};
Pipe make_pipe();

// A socket on 127.0.0.1 with a port that the system chose.
struct TcpPort {
  OwnedFd fd;
  int port;
};
TcpPort tcp_listener(int backlog = 128);
TcpPort refusing_port();  // bound but not listening: connects are refused while it lives

// A socket on its way to 127.0.0.1:`port`: connected, in progress or already refused.
OwnedFd start_connect(int port);

// Writes all of `bytes`; CHECKs that they fit.
void write_all(int fd, std::string_view bytes);

// Reads until EAGAIN or the end of file.
std::string read_available(int fd);

// Waits until there is something to read (or the end), then reads as above.
std::string read_some(int fd);

// Writes until EAGAIN; returns the number of bytes.
std::size_t fill(int fd);

// The end of the stream (shutdown(2), SHUT_WR), and a reset: closes with SO_LINGER of zero.
void half_close(int fd);
void reset(OwnedFd& fd);

// Reads and clears SO_ERROR.
int take_socket_error(int fd);

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_SOCKETS_H_
