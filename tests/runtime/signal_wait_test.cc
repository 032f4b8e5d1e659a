// Signals for tasks: Runtime::on_signal() without a callback, and Signal::wait().

#include <signal.h>

#include <thread>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/signal.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using absl::StatusCode;

class SignalWaitTest : public RuntimeTest {
 protected:
  // Catches signals, and hands them out on a thread of its own until the end of the test.
  void run(Runtime& runtime) {
    ASSERT_TRUE(runtime.catch_signals().ok());
    thread_ = std::thread([&runtime] { EXPECT_TRUE(runtime.run_until_signal().ok()); });
  }
  void end(Runtime& runtime) {
    runtime.request_shutdown();
    thread_.join();
  }

 private:
  std::thread thread_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, SignalWaitTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(SignalWaitTest, TellsEachTaskEachSignal) {
  Runtime runtime(options());
  const absl::StatusOr<Signal> hangup = runtime.on_signal(SIGHUP);
  ASSERT_TRUE(hangup.ok()) << hangup.status();
  run(runtime);
  const auto task = [](Signal hangup, absl::Notification& waits, absl::Notification& told,
                       absl::Notification& again) -> Task<> {
    waits.Notify();
    co_await hangup.wait();
    told.Notify();
    co_await hangup.wait();
    again.Notify();
  };
  absl::Notification waits[2], told[2], again[2];
  std::vector<Job> jobs;
  for (int i = 0; i < 2; ++i) {
    jobs.push_back(
        runtime.spawn(task, *hangup, std::ref(waits[i]), std::ref(told[i]), std::ref(again[i])));
    waits[i].WaitForNotification();
  }
  ASSERT_EQ(::raise(SIGHUP), 0);
  for (absl::Notification& one : told) one.WaitForNotification();
  EXPECT_FALSE(again[0].HasBeenNotified());
  ASSERT_EQ(::raise(SIGHUP), 0);
  for (Job& job : jobs) EXPECT_TRUE(job.wait().ok());
  end(runtime);
}

TEST_P(SignalWaitTest, WhatComesBetweenTwoWaitsIsToldOnce) {
  absl::Notification seen;
  Runtime runtime(options());
  const absl::StatusOr<Signal> hangup = runtime.on_signal(SIGHUP);
  ASSERT_TRUE(hangup.ok()) << hangup.status();
  ASSERT_TRUE(runtime.on_signal(SIGHUP, [&] { seen.Notify(); }).ok());  // both are told
  run(runtime);
  ASSERT_EQ(::raise(SIGHUP), 0);
  seen.WaitForNotification();
  const absl::Status done = runtime.run(
      [](Signal hangup) -> Task<> {
        co_await hangup.wait();
        const absl::Status second = co_await within(absl::ZeroDuration(), hangup.wait()).result();
        EXPECT_EQ(second.code(), StatusCode::kDeadlineExceeded);
      },
      *hangup);
  EXPECT_TRUE(done.ok()) << done;
  end(runtime);
}

TEST_P(SignalWaitTest, AStopAndAShutdownEndTheWait) {
  Runtime runtime(options());
  const absl::StatusOr<Signal> hangup = runtime.on_signal(SIGHUP);
  ASSERT_TRUE(hangup.ok()) << hangup.status();
  run(runtime);
  const auto wait = [](Signal hangup) -> Task<> { co_await hangup.wait(); };
  Job stopped = runtime.spawn(wait, *hangup);
  stopped.stop();
  EXPECT_EQ(stopped.wait().code(), StatusCode::kCancelled);
  Job left = runtime.spawn(wait, *hangup);
  end(runtime);
  EXPECT_EQ(left.wait().code(), StatusCode::kCancelled);
}

TEST_P(SignalWaitTest, OnlySignalsThatMayBeCaughtBeforeTheyAre) {
  Runtime runtime(options());
  for (const int signal : {0, 65, SIGINT, SIGTERM, SIGKILL, SIGSEGV}) {
    EXPECT_EQ(runtime.on_signal(signal).status().code(), StatusCode::kInvalidArgument) << signal;
  }
  ASSERT_TRUE(runtime.catch_signals().ok());
  EXPECT_EQ(runtime.on_signal(SIGHUP).status().code(), StatusCode::kFailedPrecondition);
  const absl::Status none = runtime.run([]() -> Task<> {
    Signal signal;
    co_await signal.wait();
  });
  EXPECT_EQ(none.code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace epore
