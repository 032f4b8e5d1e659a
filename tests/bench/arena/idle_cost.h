#ifndef EPORE_TESTS_BENCH_ARENA_IDLE_COST_H_
#define EPORE_TESTS_BENCH_ARENA_IDLE_COST_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/arena/absence.h"
#include "tests/bench/contender_spec.h"

namespace epore::bench {

struct IdleOptions {
  int connections = 10'000;
  absl::Duration window = absl::Seconds(5);    // in which wakeups are counted
  int core = -1;                               // of the server; -1: all
  absl::Duration timeout = absl::Seconds(60);  // armed on each connection, by those who can
};

// What a server needs for connections that have echoed a message and are idle since, each with an
// idle timeout; without, if it says that it has none.
struct IdleCost {
  std::string version;
  Absence absence;
  bool has_timeout = false;
  double bytes_per_connection = 0;  // of memory that is the process's own
  double wakeups_per_minute = 0;    // of all its threads: how often any was put on a core again
};
IdleCost measure_idle(const ContenderSpec& spec, const IdleOptions& options);

// How often the threads of a process have left a core so far, by will or not (proc(5), status).
absl::StatusOr<std::uint64_t> context_switches(pid_t pid);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_IDLE_COST_H_
