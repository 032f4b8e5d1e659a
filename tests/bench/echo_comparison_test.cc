#include "tests/bench/echo_comparison.h"

#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace epore::bench {
namespace {

TEST(EchoComparisonTest, HasARowForEachServerOrSaysWhyNot) {
  double last = -1;
  const auto comparison = run_echo_comparison(
      {.duration = absl::Milliseconds(100), .connections = 5}, [&](std::string_view, double done) {
        EXPECT_GT(done, last);
        EXPECT_LT(done, 1);
        last = done;
      });
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_GE(comparison->rounds, 3);
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
  }
}

TEST(EchoComparisonTest, NoTimeIsNotEnough) {
  const auto comparison =
      run_echo_comparison({.duration = absl::ZeroDuration()}, [](std::string_view, double) {});
  EXPECT_TRUE(absl::IsInvalidArgument(comparison.status()));
}

}  // namespace
}  // namespace epore::bench
