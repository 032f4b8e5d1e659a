#ifndef EPORE_TESTS_BENCH_PROCESS_USAGE_H_
#define EPORE_TESTS_BENCH_PROCESS_USAGE_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/statusor.h"

namespace epore::bench {

// What a process holds at a moment, from /proc/PID/fd, smaps_rollup and task.
struct ProcessUsage {
  int descriptors = 0;
  int threads = 0;
  std::int64_t rss_kib = 0;  // resident memory
  std::int64_t uss_kib = 0;  // of that what it shares with nobody, and would give back at its end

  static absl::StatusOr<ProcessUsage> of(pid_t pid);
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_PROCESS_USAGE_H_
