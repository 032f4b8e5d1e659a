#include "tests/bench/baselines.h"

#include <cstddef>
#include <vector>

#include "tests/bench/rounds.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {

std::vector<Baseline> baselines(const RoundsResult& result) {
  std::vector<Baseline> found;
  for (const char* name : {"epoll", "asio"}) {
    for (std::size_t i = 0; i < result.contenders.size(); ++i) {
      const Contender& contender = result.contenders[i];
      if (contender.spec.label == name && contender.skipped.empty()) {
        found.push_back({.index = i, .label = name});
      }
    }
  }
  return found;
}

Ratio ratio_to(const Workload& workload, std::size_t contender, std::size_t base,
               double Sample::*value) {
  const std::vector<double> all =
      ratios(workload.samples[contender], workload.samples[base], value);
  return {.median = quartiles(all).median, .interval = median_interval(all)};
}

Ratio mean_cpu_ratio(const RoundsResult& result, std::size_t contender, std::size_t base) {
  std::vector<std::vector<double>> all;
  for (const Workload& workload : result.workloads) {
    all.push_back(ratios(workload.samples[contender], workload.samples[base], &Sample::cpu_ns));
  }
  const std::vector<double> means = means_by_round(all);
  return {.median = quartiles(means).median, .interval = median_interval(means)};
}

}  // namespace epore::bench
