#ifndef EPORE_TESTS_BENCH_CONNECT_MANY_H_
#define EPORE_TESTS_BENCH_CONNECT_MANY_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/tcp.h"

namespace epore::bench {

// Opens `count` connections, a bounded number at a time, so that the server's backlog never
// overflows (then the kernel drops the attempt, and repeats it after a second).
absl::StatusOr<std::vector<OwnedFd>> connect_many(const Endpoint& server, int count,
                                                  absl::Duration timeout);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_CONNECT_MANY_H_
