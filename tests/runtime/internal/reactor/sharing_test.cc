#include "epore/runtime/internal/reactor/sharing.h"

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"

namespace epore::internal {
namespace {

using Source = Sharing::Source;

constexpr std::int64_t kMicrosecond = 1'000;
constexpr std::int64_t kMillisecond = 1'000'000;

class SharingClassTest : public testing::Test {
 protected:
  // A turn of so many runs of the source, of so many ns each.
  void turn(Source source, int runs, std::int64_t cost) {
    sharing_.begin(now_);
    sharing_.runs(source);
    for (int i = 0; i < runs; ++i) {
      now_ += cost;
      if (sharing_.has_run()) sharing_.estimate(now_);
    }
    if (sharing_.end_turn()) sharing_.estimate(now_);
  }
  std::size_t part_of(Source source, std::size_t runs) const {
    return sharing_.part_of(source, runs, now_);
  }
  bool is_worth(Source source, std::size_t runs) const {
    return sharing_.is_worth(source, runs, now_);
  }
  // Workers spend so many ms in what was shared.
  void helped(std::int64_t cpu_ms, std::int64_t asleep_ms) {
    (void)sharing_.helped({cpu_ms * kMillisecond, asleep_ms * kMillisecond}, now_);
  }
  // ns until the pause ends.
  std::int64_t pause() {
    std::int64_t pause = 0;
    while (part_of(Source::ready, 100) == 0) {
      pause += kMillisecond;
      now_ += kMillisecond;
    }
    return pause;
  }

  Sharing sharing_{1};
  std::int64_t now_ = 5 * kMillisecond;
};

TEST_F(SharingClassTest, WhatIsUnknownIsNotShared) {
  EXPECT_EQ(part_of(Source::ready, 1'000'000), 0u);
  EXPECT_EQ(part_of(Source::submitted, 1'000'000), 0u);
}

TEST_F(SharingClassTest, WorkOfMoreThanAWakeIsSharedInHalf) {
  turn(Source::ready, 32, 50 * kMicrosecond);
  EXPECT_FALSE(is_worth(Source::ready, 2));
  EXPECT_EQ(part_of(Source::ready, 2), 0u);
  EXPECT_TRUE(is_worth(Source::ready, 10));
  EXPECT_EQ(part_of(Source::ready, 10), 5u);
}

TEST_F(SharingClassTest, ShortRunsAreNotSharedHoweverMany) {
  turn(Source::ready, 64, 9 * kMicrosecond);
  EXPECT_EQ(part_of(Source::ready, 100'000), 0u);
}

TEST_F(SharingClassTest, OneWindowThatTookLongIsForgotten) {
  turn(Source::ready, 32, 1 * kMicrosecond);
  turn(Source::ready, 16, 1'000 * kMicrosecond);
  EXPECT_EQ(part_of(Source::ready, 1'000), 0u);
  turn(Source::ready, 16, 1 * kMicrosecond);
  turn(Source::ready, 16, 1 * kMicrosecond);
  EXPECT_EQ(part_of(Source::ready, 1'000), 0u);
}

// A broadcast is one long run, and then many short ones.
TEST_F(SharingClassTest, WhatIsReadyAndWhatWasSubmittedHaveACostEach) {
  turn(Source::ready, 32, 200 * kMicrosecond);
  turn(Source::submitted, 32, 1 * kMicrosecond);
  EXPECT_GT(part_of(Source::ready, 100), 0u);
  EXPECT_EQ(part_of(Source::submitted, 1'000), 0u);
}

TEST_F(SharingClassTest, AnEstimateThatWasTooHighComesDownThoughAllButOneRunIsShared) {
  turn(Source::ready, 32, 200 * kMicrosecond);
  for (int i = 0; i < 2; ++i) {
    sharing_.begin(now_);
    sharing_.runs(Source::ready);
    sharing_.shared(Source::ready);
    now_ += kMicrosecond;
    EXPECT_FALSE(sharing_.has_run());
    sharing_.runs(Source::submitted);
    sharing_.takes_back();
    EXPECT_TRUE(sharing_.end_turn());
    sharing_.estimate(now_);
  }
  EXPECT_EQ(part_of(Source::ready, 100), 0u);
}

TEST_F(SharingClassTest, WhereWorkersSleepSharingPausesEachTimeForTwiceAsLong) {
  turn(Source::ready, 32, 200 * kMicrosecond);
  EXPECT_EQ(pause(), 0);
  std::int64_t last = 0;
  for (int i = 0; i < 6; ++i) {
    helped(5, 5);
    const std::int64_t now = pause();
    EXPECT_GE(now, 100 * kMillisecond);
    EXPECT_GE(now, 2 * last);
    last = now;
  }
  for (int i = 0; i < 10; ++i) {
    helped(5, 5);
    last = pause();
  }
  EXPECT_EQ(last, 5'000 * kMillisecond);  // and no longer
}

TEST_F(SharingClassTest, WhereTheyDoNotSleepForAsLongAsThePauseWasTheNextOneIsHalfAsLong) {
  turn(Source::ready, 32, 200 * kMicrosecond);
  helped(5, 5);
  EXPECT_EQ(pause(), 100 * kMillisecond);
  helped(5, 5);
  EXPECT_EQ(pause(), 200 * kMillisecond);
  now_ += 200 * kMillisecond;
  helped(5, 1);
  EXPECT_EQ(pause(), 0);
  helped(5, 5);
  EXPECT_EQ(pause(), 200 * kMillisecond);
}

// A callback that takes a lock may be followed by many that take none.
TEST_F(SharingClassTest, AShortTimeWithoutSleepMakesNoPauseShorter) {
  turn(Source::ready, 32, 200 * kMicrosecond);
  helped(5, 5);
  EXPECT_EQ(pause(), 100 * kMillisecond);
  now_ += 99 * kMillisecond;
  helped(5, 1);
  helped(5, 5);
  EXPECT_EQ(pause(), 200 * kMillisecond);
  now_ += 100 * kMillisecond;
  helped(5, 1);
  helped(5, 5);
  EXPECT_EQ(pause(), 400 * kMillisecond);
}

TEST_F(SharingClassTest, ItSaysWhetherToGoOn) {
  turn(Source::ready, 32, 200 * kMicrosecond);
  EXPECT_TRUE(sharing_.helped({5 * kMillisecond, 0}, now_));
  EXPECT_FALSE(sharing_.helped({0, 5 * kMillisecond}, now_));
  EXPECT_FALSE(sharing_.helped({}, now_));
  now_ += 100 * kMillisecond;
  EXPECT_TRUE(sharing_.helped({}, now_));
}

TEST_F(SharingClassTest, AMomentIsTooShortToBeJudged) {
  turn(Source::ready, 32, 200 * kMicrosecond);
  (void)sharing_.helped({0, kMillisecond / 2}, now_);
  EXPECT_EQ(pause(), 0);
  (void)sharing_.helped({0, kMillisecond / 2}, now_);
  EXPECT_GT(pause(), 0);
}

TEST(SharingWithoutHelpersTest, NothingIsShared) {
  Sharing sharing(0);
  sharing.begin(0);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(sharing.has_run());
  EXPECT_FALSE(sharing.end_turn());
  EXPECT_EQ(sharing.part_of(Source::ready, 1'000'000, 0), 0u);
}

}  // namespace
}  // namespace epore::internal
