#ifndef EPORE_TESTS_BENCH_CPU_TIME_H_
#define EPORE_TESTS_BENCH_CPU_TIME_H_

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace epore::bench {

// User and system time of all living threads of a process, in nanoseconds from
// /proc/PID/task/*/schedstat. Exact for threads that sleep; one that runs may be behind by a tick.
// The time of threads that have ended is not in it.
absl::StatusOr<absl::Duration> process_cpu_time(pid_t pid);

// The same of the calling thread, exact.
absl::Duration thread_cpu_time();

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_CPU_TIME_H_
