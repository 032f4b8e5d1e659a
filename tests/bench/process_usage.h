#ifndef EPORE_TESTS_BENCH_PROCESS_USAGE_H_
#define EPORE_TESTS_BENCH_PROCESS_USAGE_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace epore::bench {

// What a process holds at a moment, from /proc/PID/fd, smaps_rollup and task.
struct ProcessUsage {
  int descriptors = 0;
  int threads = 0;
  std::int64_t rss_kib = 0;  // resident memory
  std::int64_t uss_kib = 0;  // of that what it shares with nobody, and would give back at its end

  static absl::StatusOr<ProcessUsage> of(pid_t pid);

  // Looks again and again until `is_awaited` holds. Nobody tells of another process's descriptors,
  // so in between it waits, a few milliseconds, for the process to end. DeadlineExceeded after
  // `timeout`, Unavailable if it has ended.
  static absl::StatusOr<ProcessUsage> await(pid_t pid,
                                            absl::FunctionRef<bool(const ProcessUsage&)> is_awaited,
                                            absl::Duration timeout);
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_PROCESS_USAGE_H_
