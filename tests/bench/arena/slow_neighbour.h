#ifndef EPORE_TESTS_BENCH_ARENA_SLOW_NEIGHBOUR_H_
#define EPORE_TESTS_BENCH_ARENA_SLOW_NEIGHBOUR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/tcp.h"

namespace epore::bench {

// A client on a thread of its own whose messages begin with 'S', so that the server's callback
// burns 20 ms of CPU for each; it sends the next one when one has come back.
class SlowNeighbour {
 public:
  static constexpr absl::Duration kBurned = absl::Milliseconds(20);  // by the server, for each

  static absl::StatusOr<std::unique_ptr<SlowNeighbour>> start(const Endpoint& server);
  ~SlowNeighbour();
  SlowNeighbour(const SlowNeighbour&) = delete;
  SlowNeighbour& operator=(const SlowNeighbour&) = delete;

  // Waits for the message in flight. An error: one did not come back.
  absl::Status stop();

  // Goes on, on the same connection, after a stop() without an error.
  void resume();

  std::uint64_t messages() const { return messages_.load(std::memory_order_relaxed); }

 private:
  explicit SlowNeighbour(OwnedFd fd);
  absl::Status talk();

  const OwnedFd fd_;
  std::atomic<bool> is_over_{false};
  std::atomic<std::uint64_t> messages_{0};
  absl::Status status_;  // the thread's, until it is joined
  std::thread thread_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_SLOW_NEIGHBOUR_H_
