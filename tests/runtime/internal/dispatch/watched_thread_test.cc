#include "epore/runtime/internal/dispatch/watched_thread.h"

#include <string>
#include <vector>

#include "epore/runtime/internal/base/deadline.h"
#include "gtest/gtest.h"
#include "tests/support/log_lines.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kStart = 3'600'000 * kMillisecond;

class WatchedThreadTest : public testing::Test {
 protected:
  bool is_blocked_after(int milliseconds, int waited_ms = 0) {
    return thread_.is_blocked(kStart + milliseconds * kMillisecond,
                              kDelay + waited_ms * kMillisecond);
  }
  void stuck(std::uint64_t run) { thread_.stuck(run, "a test", kStart, kDelay); }

  static constexpr std::int64_t kDelay = 77 * kMillisecond;  // before the run
  LogLines lines_;
  WatchedThread thread_{"thread", 100 * kMillisecond};
};

TEST_F(WatchedThreadTest, ARunIsBlockedFromTheGivenTimeOn) {
  EXPECT_FALSE(thread_.is_stuck());
  EXPECT_FALSE(is_blocked_after(1'000));
  stuck(1);
  EXPECT_TRUE(thread_.is_stuck());
  EXPECT_FALSE(is_blocked_after(99));
  EXPECT_TRUE(is_blocked_after(100));
}

TEST_F(WatchedThreadTest, TheWaitForAProcessorDoesNotCount) {
  stuck(1);
  EXPECT_FALSE(is_blocked_after(1'000, 901));
  EXPECT_TRUE(is_blocked_after(1'000, 900));
}

TEST_F(WatchedThreadTest, WhoIsReportedIsNamedOnceMoreWhenItIsOver) {
  stuck(1);
  thread_.report(kStart + 150 * kMillisecond);
  EXPECT_FALSE(thread_.is_stuck());
  thread_.report(kStart + 160 * kMillisecond);
  thread_.over(1, kStart + 200 * kMillisecond);
  EXPECT_EQ(lines_.all(),
            (std::vector<std::string>{
                "epore: a test is holding thread, for 150ms by now; callbacks must not block",
                "epore: a test has held thread for 200ms; callbacks must not block"}));
}

TEST_F(WatchedThreadTest, WhoWasNotReportedIsNotNamedWhenItIsOver) {
  stuck(1);
  thread_.over(1, kStart + 5'000 * kMillisecond);
  EXPECT_FALSE(thread_.is_stuck());
  EXPECT_TRUE(lines_.all().empty());
}

TEST_F(WatchedThreadTest, AReportThatComesAfterTheEndIsDropped) {
  thread_.over(1, kStart);
  stuck(1);
  EXPECT_FALSE(thread_.is_stuck());
  thread_.report(kStart + 150 * kMillisecond);
  EXPECT_TRUE(lines_.all().empty());
}

TEST_F(WatchedThreadTest, ThereIsOneLineASecond) {
  stuck(1);
  thread_.report(kStart);
  thread_.over(1, kStart);
  stuck(2);
  thread_.report(kStart + 999 * kMillisecond);
  EXPECT_TRUE(thread_.is_stuck());
  EXPECT_EQ(lines_.all().size(), 2u);
  thread_.report(kStart + 1'000 * kMillisecond);
  EXPECT_FALSE(thread_.is_stuck());
  EXPECT_EQ(lines_.all().size(), 3u);
}

TEST_F(WatchedThreadTest, TheLongestRunSoFarMayBeTheOneThatIsStuck) {
  const auto is_so_far = [&](int now_ms, std::uint64_t count, int longest_ms, const char* what) {
    const WatchedThread::Stuck stuck =
        thread_.stuck_so_far([now_ms] { return kStart + now_ms * kMillisecond; });
    EXPECT_EQ(stuck.count, count);
    EXPECT_EQ(stuck.longest, longest_ms * kMillisecond);
    EXPECT_EQ(stuck.what, what);
  };
  is_so_far(0, 0, 0, "");
  thread_.stuck(1, "one", kStart, 0);
  is_so_far(30, 1, 30, "one");
  thread_.over(1, kStart + 40 * kMillisecond);
  is_so_far(90, 1, 40, "one");
  thread_.stuck(1, "one", kStart, 0);  // comes too late
  is_so_far(90, 1, 40, "one");
  thread_.stuck(2, "two", kStart + 100 * kMillisecond, 0);
  is_so_far(120, 2, 40, "one");
  is_so_far(150, 2, 50, "two");
  thread_.over(2, kStart + 120 * kMillisecond);
  is_so_far(200, 2, 40, "one");
}

TEST_F(WatchedThreadTest, NeverMeansThatTheLogIsSilent) {
  WatchedThread silent("thread", kNever);
  silent.stuck(1, "a test", 0, 0);
  EXPECT_FALSE(silent.is_stuck());
  EXPECT_FALSE(silent.is_blocked(kNever - 1, 0));
}

}  // namespace
}  // namespace epore::internal
