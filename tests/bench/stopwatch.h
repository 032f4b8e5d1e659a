#ifndef EPORE_TESTS_BENCH_STOPWATCH_H_
#define EPORE_TESTS_BENCH_STOPWATCH_H_

#include <time.h>

#include <cstdint>

#include "tests/bench/clock.h"

namespace epore::bench {

// Runs from its construction on: time, and the processor time of all threads of this process.
class Stopwatch {
 public:
  struct Time {
    double wall_ns = 0;
    double cpu_ns = 0;
  };

  Time so_far() const {
    return {static_cast<double>(now_ns() - wall_), static_cast<double>(cpu_ns() - cpu_)};
  }

 private:
  static std::uint64_t cpu_ns() {
    timespec time;
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
  }

  const std::uint64_t wall_ = now_ns();
  const std::uint64_t cpu_ = cpu_ns();
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_STOPWATCH_H_
