#include "tests/bench/histogram.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace epore::bench {
namespace {

TEST(HistogramTest, EmptyIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.quantile(0.5), 0u);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 200; ++value) histogram.record(value);
  EXPECT_EQ(histogram.quantile(0), 1u);
  EXPECT_EQ(histogram.quantile(0.5), 100u);
  EXPECT_EQ(histogram.quantile(0.99), 198u);
  EXPECT_EQ(histogram.quantile(1), 200u);
}

TEST(HistogramTest, AnyValueAloneIsItsOwnQuantile) {
  for (int bit = 0; bit < 64; ++bit) {
    for (std::uint64_t value : {(std::uint64_t{1} << bit) - 1, std::uint64_t{1} << bit}) {
      Histogram histogram;
      histogram.record(value);
      EXPECT_EQ(histogram.quantile(0.5), value);
      EXPECT_EQ(histogram.min(), value);
    }
  }
  Histogram histogram;
  histogram.record(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(histogram.quantile(0.5), std::numeric_limits<std::uint64_t>::max());
}

TEST(HistogramTest, QuantilesAreWithinOneOfAHundredAndTwentyEight) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latencies(10, 3);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::uint64_t>(latencies(random)));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (double fraction : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999}) {
    const auto exact = values[static_cast<std::size_t>(fraction * 20'000) - 1];
    const auto reported = histogram.quantile(fraction);
    EXPECT_GE(reported, exact) << fraction;
    EXPECT_LE(reported - exact, exact / 128 + 1) << fraction;
  }
}

TEST(HistogramTest, AddIsAsIfAllHadBeenRecordedInOne) {
  Histogram one, two, both;
  for (std::uint64_t value = 1; value < 5000; value += 3) {
    (value % 2 == 0 ? one : two).record(value * value);
    both.record(value * value);
  }
  one.add(two);
  EXPECT_EQ(one.count(), both.count());
  EXPECT_EQ(one.min(), both.min());
  EXPECT_EQ(one.max(), both.max());
  EXPECT_EQ(one.quantile(0.5), both.quantile(0.5));
}

}  // namespace
}  // namespace epore::bench
