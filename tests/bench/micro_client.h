#ifndef EPORE_TESTS_BENCH_MICRO_CLIENT_H_
#define EPORE_TESTS_BENCH_MICRO_CLIENT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/stopwatch.h"
#include "tests/bench/tcp.h"

namespace epore::bench {

// Blocking sockets to an echo server in this process. Allocates nothing after create(), so that
// what is counted is the server's.
class MicroClient {
 public:
  // For up to `connections`, none of them open yet.
  static absl::StatusOr<MicroClient> create(const std::string& server, int connections);

  // Opens so many more; each echoes one byte, so that both ends are known to be at work.
  absl::Status open(int connections);

  // Messages of 64 bytes over the first connection, one at a time.
  absl::StatusOr<Stopwatch::Time> echo(int messages);

 private:
  explicit MicroClient(const Endpoint& server) : server_(server) {}

  Endpoint server_;
  std::vector<OwnedFd> connections_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_MICRO_CLIENT_H_
