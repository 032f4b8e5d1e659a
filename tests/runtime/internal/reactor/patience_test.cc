#include "epore/runtime/internal/reactor/patience.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

TEST(Patience, AtFirstThereIsNone) {
  const Patience patience;
  EXPECT_EQ(patience.time(), 0);
  EXPECT_FALSE(patience.is_judging(1));
}

TEST(Patience, EachReliefThatWaitsForALockMakesTheNextOneLater) {
  Patience patience;
  std::int64_t before = 0;
  for (int i = 0; i < 2; ++i) {
    patience.relieved(kMillisecond);
    EXPECT_TRUE(patience.is_judging(2 * kMillisecond));
    patience.waits_for_lock();
    EXPECT_FALSE(patience.is_judging(2 * kMillisecond));
    EXPECT_GT(patience.time(), before);
    before = patience.time();
  }
  EXPECT_EQ(before, 16 * kMillisecond);
  for (int i = 0; i < 20; ++i) {
    patience.relieved(kMillisecond);
    patience.waits_for_lock();
  }
  EXPECT_EQ(patience.time(), Patience::kLongest);
}

TEST(Patience, AReliefIsJudgedForAShortTime) {
  Patience patience;
  patience.relieved(kMillisecond);
  EXPECT_TRUE(patience.is_judging(kMillisecond));
  EXPECT_FALSE(patience.is_judging(kMillisecond + Patience::kLongest));
}

TEST(Patience, ReliefsThatWaitForNoLockEndIt) {
  Patience patience;
  patience.relieved(1);
  patience.waits_for_lock();
  patience.relieved(2);
  EXPECT_EQ(patience.time(), 4 * kMillisecond);  // the one before has waited
  patience.relieved(3);
  EXPECT_EQ(patience.time(), 2 * kMillisecond);
  for (int i = 0; i < 30; ++i) patience.relieved(4 + i);
  EXPECT_EQ(patience.time(), 0);
}

}  // namespace
}  // namespace epore::internal
