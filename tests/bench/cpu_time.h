#ifndef EPORE_TESTS_BENCH_CPU_TIME_H_
#define EPORE_TESTS_BENCH_CPU_TIME_H_

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace epore::bench {

// How long threads ran, in user and system mode together, and how long they were ready to run but
// waited for a core, from the first two numbers in a schedstat file (sched-stats.rst of Linux).
struct CpuTime {
  absl::Duration ran;
  absl::Duration waited;

  friend CpuTime operator-(const CpuTime& a, const CpuTime& b) {
    return {.ran = a.ran - b.ran, .waited = a.waited - b.waited};
  }
};

// Of all living threads of a process together. Exact for threads that sleep; one that runs may be
// behind by a tick. The time of threads that have ended is not in it.
absl::StatusOr<CpuTime> process_cpu_time(pid_t pid);

// Of the calling thread; `ran` is exact.
CpuTime thread_cpu_time();

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_CPU_TIME_H_
