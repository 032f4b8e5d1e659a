#ifndef EPORE_TESTS_BENCH_STATISTICS_H_
#define EPORE_TESTS_BENCH_STATISTICS_H_

#include <vector>

namespace epore::bench {

// Median and quartiles, interpolated between neighbours as spreadsheets do (type 7 of Hyndman and
// Fan, 1996). All zero for no values.
struct Quartiles {
  double low = 0;
  double median = 0;
  double high = 0;
};
Quartiles quartiles(std::vector<double> values);

// Where the median of what was sampled lies, whatever its distribution: two of the sampled values,
// chosen by their rank so that the interval holds it with at least `confidence` (binomial). With
// fewer values than that takes (6 for 95%) it is all of them, and `confidence` says less.
struct MedianInterval {
  double low = 0;
  double high = 0;
  double confidence = 0;
};
MedianInterval median_interval(std::vector<double> values, double confidence = 0.95);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_STATISTICS_H_
