#include "tests/bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace epore::bench {
namespace {

double interpolated(const std::vector<double>& sorted, double fraction) {
  const double rank = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (rank - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Quartiles quartiles(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {interpolated(values, 0.25), interpolated(values, 0.5), interpolated(values, 0.75)};
}

MedianInterval median_interval(std::vector<double> values, double confidence) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  // Going inwards from both ends while the tails that are cut off stay light enough: the k values
  // below the interval leave a tail of P(Binomial(n, 1/2) <= k).
  double probability = std::pow(0.5, static_cast<double>(n));
  double tail = probability;
  std::size_t cut = 0;
  for (std::size_t k = 1; 2 * k + 1 < n; ++k) {
    probability *= static_cast<double>(n - k + 1) / static_cast<double>(k);
    if (1 - 2 * (tail + probability) < confidence) break;
    tail += probability;
    cut = k;
  }
  return {values[cut], values[n - 1 - cut], std::max(0.0, 1 - 2 * tail)};
}

}  // namespace epore::bench
