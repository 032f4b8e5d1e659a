// The floor: the barest echo server that epoll allows, to measure others against. One thread, one
// buffer, no state per connection: the descriptor is the event's data, and what send(2) does not
// take at once is waited for. That, and ending the program on any error it did not expect, is what
// makes it no example of a server.

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/contender_program.h"
#include "tests/bench/contender_work.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr int kMaxEvents = 1024;
constexpr std::size_t kBufferSize = 64 * 1024;

struct EventQueue {
  int fd;
  int listener;
};

ContenderWork work;
std::vector<int> everyone;  // of a broadcast; in no other case kept

void accept_connections(const EventQueue& queue) {
  for (;;) {
    const int fd = ::accept4(queue.listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // Edge-triggered is the cheaper: a level-triggered connection goes back to the ready list after
    // it was reported, to be looked at and found empty by the next epoll_wait(2).
    epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data = {.fd = fd}};
    if (::epoll_ctl(queue.fd, EPOLL_CTL_ADD, fd, &event) != 0) {
      ::close(fd);
    } else if (work.reply == Reply::broadcast) {
      everyone.push_back(fd);
    }
  }
}

// False: the peer is gone.
bool send_all(int fd, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes += sent;
      size -= static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      pollfd writable = {.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// False: the peer is gone.
bool answer(int fd, const char* bytes, std::size_t size) {
  work.burn_for(bytes[0]);
  if (work.reply == Reply::echo) return send_all(fd, bytes, size);
  bool is_open = true;
  if (work.reply == Reply::ten_sends) {
    for_ten_pieces(size, [&](std::size_t offset, std::size_t piece) {
      is_open = is_open && send_all(fd, bytes + offset, piece);
    });
  } else {
    // Another's end is found out by its own event.
    for (const int other : everyone) {
      const bool has_sent = send_all(other, bytes, size);
      if (other == fd) is_open = has_sent;
    }
  }
  return is_open;
}

void forget(int fd) {
  if (work.reply == Reply::broadcast)
    everyone.erase(std::find(everyone.begin(), everyone.end(), fd));
  ::close(fd);
}

void echo(const epoll_event& event) {
  static char buffer[kBufferSize];
  const int fd = event.data.fd;
  for (;;) {
    const ssize_t received = ::recv(fd, buffer, sizeof buffer, 0);
    if (received > 0) {
      if (!answer(fd, buffer, static_cast<std::size_t>(received))) break;
      // A short read has emptied the socket; what comes later is a new edge. Only an end that was
      // announced already must still be read.
      const bool is_short = static_cast<std::size_t>(received) < sizeof buffer;
      if (is_short && (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
    } else if (received < 0 && errno == EAGAIN) {
      return;
    } else if (received == 0 || errno != EINTR) {
      break;
    }
  }
  forget(fd);
}

absl::Status run(const EventQueue& queue) {
  epoll_event events[kMaxEvents];
  for (;;) {
    const int count = ::epoll_wait(queue.fd, events, kMaxEvents, -1);
    if (count < 0 && errno != EINTR) return errno_status(errno, "epoll_wait");
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd == queue.listener) {
        accept_connections(queue);
      } else {
        echo(events[i]);
      }
    }
  }
}

absl::Status serve() {
  const absl::StatusOr<ContenderWork> flags = ContenderWork::without_timeout_from_flags();
  if (!flags.ok()) return flags.status();
  work = *flags;
  absl::StatusOr<Endpoint> endpoint = Endpoint::parse(contender_address());
  if (!endpoint.ok()) return endpoint.status();
  absl::StatusOr<OwnedFd> listener = listen_tcp(*endpoint);
  if (!listener.ok()) return listener.status();
  endpoint = local_endpoint(listener->get());
  if (!endpoint.ok()) return endpoint.status();

  const OwnedFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_valid()) return errno_status(errno, "epoll_create1");
  const EventQueue queue = {.fd = epoll.get(), .listener = listener->get()};
  epoll_event event = {.events = EPOLLIN, .data = {.fd = queue.listener}};
  if (::epoll_ctl(queue.fd, EPOLL_CTL_ADD, queue.listener, &event) != 0) {
    return errno_status(errno, "epoll_ctl");
  }
  announce_contender(endpoint->to_string(), "bare loop, edge-triggered");
  return run(queue);
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "A bare echo server on epoll, one thread.");
  const absl::Status status = epore::bench::serve();
  if (absl::IsUnimplemented(status)) return epore::bench::skip_contender(status.message());
  return epore::bench::fail_contender(status);
}
