#ifndef EPORE_TESTS_BENCH_LEAKED_SERVERS_H_
#define EPORE_TESTS_BENCH_LEAKED_SERVERS_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "tests/bench/tcp.h"

namespace epore::bench {

// FailedPrecondition, with what to do, if a contender still runs whose harness has ended: it would
// take part of what is measured. `proc`: where the processes are to be found.
absl::Status check_no_leaked_server(const std::string& proc = "/proc");

// FailedPrecondition, with what to do, if somebody but the process `server` listens at `endpoint`
// as well (SO_REUSEPORT), and would get some of the connections.
absl::Status check_sole_listener(const Endpoint& endpoint, pid_t server);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_LEAKED_SERVERS_H_
