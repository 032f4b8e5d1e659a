#ifndef EPORE_TESTS_BENCH_ARENA_BROADCAST_LOAD_H_
#define EPORE_TESTS_BENCH_ARENA_BROADCAST_LOAD_H_

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/load.h"
#include "tests/bench/tcp.h"

namespace epore::bench {

struct BroadcastOptions {
  int connections = 1000;
  std::size_t message_size = 64;  // at least 16
  absl::Duration stall_timeout = absl::Seconds(10);
};

// Load on a server that sends what it receives to all its connections: one connection after the
// other sends a message, and the next one does when all have got it. One thread, the caller's.
// Every byte is compared.
class BroadcastLoad {
 public:
  // Returns when the server knows all connections: a message has reached them all.
  static absl::StatusOr<std::unique_ptr<BroadcastLoad>> connect(const Endpoint& server,
                                                                const BroadcastOptions& options);

  // `messages` and the rate count what arrives, on each connection; latency is until the last one.
  absl::StatusOr<LoadResult> run(absl::Duration duration);

 private:
  struct Receiver {
    OwnedFd fd;
    std::uint64_t expected = 0;  // the number of the message that comes next; 0: whichever
    std::size_t received = 0;    // of that
    std::uint64_t last = 0;      // the number of the last one that came
    char bytes[16] = {};         // of the first message's head
  };

  BroadcastLoad(const BroadcastOptions& options, OwnedFd epoll);
  absl::Status probe();
  absl::Status send_next();
  absl::Status receive_until(std::uint64_t number, absl::Duration timeout, bool* has_arrived);
  absl::Status receive(Receiver& receiver);
  absl::Status take(Receiver& receiver, const char* bytes, std::size_t size);

  const BroadcastOptions options_;
  const OwnedFd epoll_;
  std::vector<Receiver> receivers_;
  std::vector<epoll_event> events_;
  std::vector<char> buffer_;
  std::uint64_t sent_ = 0;   // messages; they have the numbers from 1 on
  std::size_t waiting_ = 0;  // receivers that have not got the last one
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_BROADCAST_LOAD_H_
