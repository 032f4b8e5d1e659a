#ifndef EPORE_TESTS_BENCH_BASELINES_H_
#define EPORE_TESTS_BENCH_BASELINES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "tests/bench/rounds.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {

// A contender that the others are compared with.
struct Baseline {
  std::size_t index;  // among the contenders
  std::string label;
};

// The bare epoll loop and Boost.Asio as they are without flags, if they took part.
std::vector<Baseline> baselines(const RoundsResult& result);

// How one contender compares with another, round by round.
struct Ratio {
  double median = 0;
  MedianInterval interval;
};
Ratio ratio_to(const Workload& workload, std::size_t contender, std::size_t base,
               double Sample::*value);

// The same of the mean over all workloads of the CPU per message, which is taken round by round.
Ratio mean_cpu_ratio(const RoundsResult& result, std::size_t contender, std::size_t base);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_BASELINES_H_
