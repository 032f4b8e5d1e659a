// The phases of a runtime's end, where a Runtime does not show them.

#include "epore/runtime/internal/reactor/shutdown.h"

#include <atomic>
#include <memory>
#include <thread>

#include "absl/base/log_severity.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/runtime/internal/reactor/core_test_base.h"
#include "tests/support/log_lines.h"

namespace epore::internal {
namespace {

class ShutdownPhasesTest : public CoreTest, public testing::WithParamInterface<Dispatch> {};

INSTANTIATE_TEST_SUITE_P(Everywhere, ShutdownPhasesTest,
                         testing::Values(Dispatch::adaptive, Dispatch::workers,
                                         Dispatch::poll_thread),
                         [](const auto& info) { return std::string(dispatch_name(info.param)); });

TEST_P(ShutdownPhasesTest, ActivitiesBeginUntilPostsAreRefused) {
  Core& shared = core(GetParam());
  EXPECT_EQ(shared.phase(), Core::Phase::running);
  ASSERT_TRUE(shared.begin_activity());
  std::thread ends([&] { EXPECT_TRUE(shared.shutdown().run(kNever, [] { return false; }).ok()); });
  while (shared.phase() == Core::Phase::running) std::this_thread::yield();
  EXPECT_EQ(shared.phase(), Core::Phase::draining);
  EXPECT_TRUE(shared.begin_activity());
  shared.end_activity();
  shared.end_activity();
  ends.join();
  EXPECT_EQ(shared.phase(), Core::Phase::stopped);
  EXPECT_FALSE(shared.begin_activity());
}

// No connection is left, and the closures that were accepted have their time, but no more.
TEST_P(ShutdownPhasesTest, ClosuresThatWereAcceptedRunUntilItIsCutShort) {
  for (bool cut_short : {false, true}) {
    FaultKernel kernel;
    RuntimeOptions options;
    options.dispatch = GetParam();
    options.workers = 1;
    options.spare_workers = 0;
    options.kernel = &kernel;
    const auto shared = Ref<Core>::adopt(new Core(options));
    constexpr int kClosures = 100;
    std::atomic<int> ran{0};
    std::atomic<bool> is_cut{false};
    absl::Notification runs;
    absl::Notification go_on;
    const auto captured = std::make_shared<int>(0);
    for (int i = 0; i < kClosures; ++i) {
      const auto closure = [&, captured] {
        if (++ran == 1) runs.Notify();
        go_on.WaitForNotification();
      };
      ASSERT_TRUE(shared->post(closure).ok());
    }
    runs.WaitForNotification();
    std::thread ends(
        [&] { EXPECT_TRUE(shared->shutdown().run(kNever, [&] { return is_cut.load(); }).ok()); });
    while (shared->phase() < Core::Phase::refusing) std::this_thread::yield();
    EXPECT_FALSE(shared->post([] {}).ok());
    EXPECT_FALSE(shared->is_cut_off());
    if (cut_short) {
      is_cut = true;
      shared->shutdown().gate().notify();
      while (!shared->is_cut_off()) std::this_thread::yield();
    }
    go_on.Notify();
    ends.join();
    if (cut_short) {
      EXPECT_LE(ran.load(), 2);
    } else {
      EXPECT_EQ(ran.load(), kClosures);
    }
    EXPECT_EQ(captured.use_count(), 1);
  }
}

// A callback that does not return.
TEST_P(ShutdownPhasesTest, OnceItIsCutOffItSaysEachSecondWhatItWaitsFor) {
  kernel_.use_manual_clock();
  const LogLines lines(absl::LogSeverity::kWarning);
  absl::Notification runs;
  absl::Notification go_on;
  Core& shared = core(GetParam());
  ASSERT_TRUE(shared
                  .post([&] {
                    runs.Notify();
                    go_on.WaitForNotification();
                  })
                  .ok());
  runs.WaitForNotification();
  std::thread ends(
      [&] { EXPECT_TRUE(shared.shutdown().run(5'000'000'000, [] { return false; }).ok()); });
  while (shared.phase() == Core::Phase::running) std::this_thread::yield();
  kernel_.advance(absl::Seconds(5));
  shared.shutdown().gate().notify();
  while (!shared.is_cut_off()) std::this_thread::yield();
  EXPECT_FALSE(lines.has("still waits")) << lines.text();
  for (int second = 6; second < 9; ++second) {
    kernel_.advance(absl::Seconds(1));
    shared.shutdown().gate().notify();
    lines.await(absl::StrCat("still waits, for ", second, "s by now, for "));
  }
  go_on.Notify();
  ends.join();
  EXPECT_EQ(lines.count("still waits"), 3) << lines.text();
  if (GetParam() == Dispatch::workers) {
    EXPECT_EQ(lines.count("callbacks: 1 (a posted closure)"), 3) << lines.text();
  } else if (GetParam() == Dispatch::poll_thread) {
    EXPECT_EQ(lines.count("threads: 1"), 3) << lines.text();
  }
}

TEST_P(ShutdownPhasesTest, OneThatEndsInTimeSaysNothing) {
  kernel_.use_manual_clock();
  const LogLines lines(absl::LogSeverity::kWarning);
  EXPECT_TRUE(core(GetParam()).shutdown().run(0, [] { return false; }).ok());
  EXPECT_FALSE(lines.has("still waits")) << lines.text();
}

}  // namespace
}  // namespace epore::internal
