#include "tests/bench/statistics.h"

#include <vector>

#include "gtest/gtest.h"

namespace epore::bench {
namespace {

std::vector<double> one_to(int n) {
  std::vector<double> values;
  for (int i = n; i >= 1; --i) values.push_back(i);
  return values;
}

TEST(QuartilesTest, OfNothingAreZero) { EXPECT_EQ(quartiles({}).median, 0); }

TEST(QuartilesTest, OfOneValueAreThatValue) {
  const Quartiles q = quartiles({7});
  EXPECT_EQ(q.low, 7);
  EXPECT_EQ(q.median, 7);
  EXPECT_EQ(q.high, 7);
}

TEST(QuartilesTest, InterpolateBetweenNeighbours) {
  const Quartiles q = quartiles({4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(q.low, 1.75);
  EXPECT_DOUBLE_EQ(q.median, 2.5);
  EXPECT_DOUBLE_EQ(q.high, 3.25);
}

TEST(MedianIntervalTest, NineValuesCutOneOffEachEnd) {
  const MedianInterval interval = median_interval(one_to(9));
  EXPECT_EQ(interval.low, 2);
  EXPECT_EQ(interval.high, 8);
  EXPECT_NEAR(interval.confidence, 0.9609, 1e-4);
}

TEST(MedianIntervalTest, TwentyOneValuesCutFiveOffEachEnd) {
  const MedianInterval interval = median_interval(one_to(21));
  EXPECT_EQ(interval.low, 6);
  EXPECT_EQ(interval.high, 16);
  EXPECT_NEAR(interval.confidence, 0.9734, 1e-4);
}

TEST(MedianIntervalTest, FewValuesGiveTheirRangeAndSayHowMuchThatIsWorth) {
  const MedianInterval interval = median_interval(one_to(3));
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 3);
  EXPECT_DOUBLE_EQ(interval.confidence, 0.75);
}

TEST(MedianIntervalTest, OneValueIsWorthNothing) {
  EXPECT_EQ(median_interval({5}).low, 5);
  EXPECT_EQ(median_interval({5}).high, 5);
  EXPECT_EQ(median_interval({5}).confidence, 0);
}

}  // namespace
}  // namespace epore::bench
