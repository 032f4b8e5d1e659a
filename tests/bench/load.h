#ifndef EPORE_TESTS_BENCH_LOAD_H_
#define EPORE_TESTS_BENCH_LOAD_H_

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/histogram.h"
#include "tests/bench/load_connection.h"
#include "tests/bench/stream_pattern.h"
#include "tests/bench/tcp.h"

namespace epore::bench {

struct LoadOptions {
  int connections = 1;
  std::size_t message_size = 64;
  int depth = 1;  // messages in flight on each connection; of an open loop: at most

  // Messages per second of an open loop; 0: a closed loop.
  double rate = 0;

  // No reply on any connection for so long is an error.
  absl::Duration stall_timeout = absl::Seconds(10);

  absl::Status check() const;
};

// When a run ends: after a time, or once so many messages were sent.
struct LoadLimit {
  absl::Duration duration = absl::InfiniteDuration();
  std::uint64_t messages = ~std::uint64_t{0};
};

struct LoadResult {
  std::uint64_t messages = 0;  // all that were sent in the run, and all came back
  double rate = 0;             // messages per second up to the limit, without the last ones' tail
  Histogram latency;           // in nanoseconds, from before its send to after its last recv; of an
                               // open loop from when its send was intended
  std::uint64_t unsent = 0;    // of an open loop: due in the run, but every connection that they
                               // were for was full; in `latency` with the time until its end
  absl::Duration elapsed;
  CpuTime cpu;  // of the load itself
};

// Load on an echo server. Closed loop: each connection sends its next message when one has come
// back. Open loop: messages are due at a constant rate, on one connection after the other, and
// their latency counts from then on, so that a server that stalls pays for every message that it
// should have answered meanwhile. One thread, the caller's. Every byte is compared.
//
//   auto load = Load::connect(server, {.connections = 50});
//   (*load)->run({.duration = absl::Milliseconds(100)});            // warms up
//   auto result = (*load)->run({.duration = absl::Seconds(1)});     // measures
//
// Between two runs nothing is in flight, so that the server sleeps and what it has used up is
// exact. After an error, whose text names the connection, only the destructor may follow.
class Load {
 public:
  static absl::StatusOr<std::unique_ptr<Load>> connect(const Endpoint& server,
                                                       const LoadOptions& options);
  absl::StatusOr<LoadResult> run(const LoadLimit& limit);

 private:
  struct Run;

  explicit Load(const LoadOptions& options);
  absl::Status connect_all(const Endpoint& server);
  absl::Status wait_and_handle(Run& run);
  absl::StatusOr<int> wait(const Run& run, std::uint64_t give_up_at);
  absl::Status send_due(Run& run);
  absl::Status handle(Run& run, const epoll_event& event);
  absl::Status begin_messages(Run& run, LoadConnection& connection, int count, std::uint64_t now);

  const LoadOptions options_;
  const std::uint64_t full_;  // how many messages may be in flight
  const StreamPattern pattern_;
  std::size_t next_ = 0;  // whose turn it is in an open loop
  OwnedFd epoll_;
  std::vector<std::unique_ptr<LoadConnection>> connections_;
  std::vector<char> buffer_;
  std::vector<epoll_event> events_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_LOAD_H_
