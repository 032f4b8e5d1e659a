#ifndef EPORE_TESTS_BENCH_SHORT_CONNECTIONS_H_
#define EPORE_TESTS_BENCH_SHORT_CONNECTIONS_H_

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/stream_pattern.h"
#include "tests/bench/tcp.h"

namespace epore::bench {

// How a client ends its connection once it has its echo.
enum class ConnectionEnd {
  graceful,  // ends its half, waits for the server's end of file, closes
  reset,     // RST, by SO_LINGER with 0
};

struct ShortConnectionsOptions {
  int parallel = 50;
  std::size_t message_size = 64;  // small enough for one send
  ConnectionEnd end = ConnectionEnd::graceful;
  absl::Duration stall_timeout = absl::Seconds(10);

  absl::Status check() const;
};

// Clients of an echo server that connect, send one message, compare its echo and go. One thread,
// the caller's. They come from 250 addresses (127.1.0.x) in turn: a graceful end leaves a port of
// the client in TIME-WAIT for a minute, and one address has but 28,000 of them.
class ShortConnections {
 public:
  static absl::StatusOr<std::unique_ptr<ShortConnections>> make(
      const Endpoint& server, const ShortConnectionsOptions& options);

  // One after the other, `parallel` at a time, until `count` more have ended. The first error ends
  // it, and only the destructor may follow.
  absl::Status run(std::uint64_t count);

 private:
  struct Client {
    OwnedFd fd;
    std::uint64_t begin = 0;  // of its message in the pattern
    std::size_t received = 0;
    bool is_connected = false;
  };

  ShortConnections(const Endpoint& server, const ShortConnectionsOptions& options, OwnedFd epoll);
  absl::Status start(std::size_t index);
  absl::Status handle(Client& client);
  absl::Status connected(Client& client);
  absl::Status receive(Client& client);
  absl::Status finish(Client& client);

  const Endpoint server_;
  const ShortConnectionsOptions options_;
  const StreamPattern pattern_;
  const OwnedFd epoll_;
  std::vector<Client> clients_;
  std::vector<epoll_event> events_;
  std::uint64_t started_ = 0;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_SHORT_CONNECTIONS_H_
