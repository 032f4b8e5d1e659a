#include "tests/bench/echo_comparison.h"

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace epore::bench {
namespace {

TEST(EchoComparisonTest, HasARowForEachServerOrSaysWhyNot) {
  double last = -1;
  const auto comparison = run_echo_comparison({.duration = absl::Seconds(1), .connections = 5},
                                              [&](std::string_view, double done) {
                                                EXPECT_GT(done, last);
                                                EXPECT_LT(done, 1);
                                                last = done;
                                              });
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_GE(comparison->rounds, 3);
  EXPECT_FALSE(comparison->tally.empty());
  ASSERT_EQ(comparison->rows.size(), 5u);
  EXPECT_EQ(comparison->rows[0].name, "epoll loop");
  EXPECT_EQ(comparison->rows[1].name, "epore");
  EXPECT_EQ(comparison->rows[2].name, "Boost.Asio, 1 thread");
  for (const EchoRow& row : comparison->rows) {
    if (!row.skipped.empty()) continue;
    EXPECT_FALSE(row.version.empty());
    EXPECT_GT(row.rate, 0);
    EXPECT_GT(row.p50, absl::ZeroDuration());
    EXPECT_LE(row.p50, row.p99);
    EXPECT_GT(row.cpu_ns_per_message, 0);
    EXPECT_LE(row.cpu_ns_low, row.cpu_ns_per_message);
    EXPECT_GE(row.cpu_ns_high, row.cpu_ns_per_message);
  }
}

EchoRow row(const std::string& name, double low, double median, double high) {
  EchoRow row;
  row.name = name;
  row.cpu_ns_low = low;
  row.cpu_ns_per_message = median;
  row.cpu_ns_high = high;
  return row;
}

TEST(RaceResultTest, IsNoDifferenceWhereTheQuartilesOverlap) {
  const EchoRow ours = row("a", 90, 100, 110);
  EXPECT_EQ(race_result(ours, row("b", 110, 150, 200)),
            "a and b: no difference, their rounds overlap");
  EXPECT_EQ(race_result(ours, row("b", 50, 60, 95)),
            "a and b: no difference, their rounds overlap");
  EXPECT_EQ(race_result(ours, row("b", 111, 125, 200)),
            "a: 25% more messages in a CPU second than b");
  EXPECT_EQ(race_result(ours, row("b", 70, 80, 89)),
            "a: 20% fewer messages in a CPU second than b");
}

TEST(RaceResultTest, IsEmptyForWhoHasNoNumbers) {
  EXPECT_EQ(race_result(row("a", 1, 1, 1), row("b", 0, 0, 0)), "");
}

TEST(EchoComparisonTest, NoTimeIsNotEnough) {
  const auto comparison =
      run_echo_comparison({.duration = absl::ZeroDuration()}, [](std::string_view, double) {});
  EXPECT_TRUE(absl::IsInvalidArgument(comparison.status()));
}

}  // namespace
}  // namespace epore::bench
