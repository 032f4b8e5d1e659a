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

double mean_cpu_ratio(const RoundsResult& result, std::size_t contender, std::size_t base) {
  double sum = 0;
  for (const Workload& workload : result.workloads) {
    sum += ratio_to(workload, contender, base, &Sample::cpu_ns).median;
  }
  return sum / static_cast<double>(result.workloads.size());
}

}  // namespace epore::bench
