// Tasks and the end of their runtime: they are stopped when the connections are done, and always
// end.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/log_severity.h"
#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/counted.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/log_lines.h"

namespace epore {
namespace {

constexpr absl::Duration kForEver = absl::InfiniteDuration();

Task<> waits() {
  Counted local;
  co_await sleep_for(kForEver);
}
Task<Counted> give() { co_return Counted(1); }

// They go on after every stop.
Task<> ignores_errors() {
  Counted local;
  for (;;) (void)co_await sleep_for(kForEver).result();
}
Task<> ignores_errors_of_yield() {
  Counted local;
  for (;;) (void)co_await yield().result();
}
Task<> never_suspends() {
  Counted local;
  for (;;) (void)co_await give().result();
}
Task<> shields() {
  Counted local;
  for (;;) (void)co_await shield(sleep_for(kForEver)).result();
}
Task<> joins() {
  Counted local;
  for (;;) (void)co_await any(sleep_for(kForEver), ignores_errors()).result();
}
Task<> groups() {
  Counted local;
  for (;;) {
    (void)co_await group([](Group& group) -> Task<> {
      group.spawn(ignores_errors);
      group.spawn(shields);
      for (;;) (void)co_await yield().result();
    }).result();
  }
}

class ShutdownTest : public testing::TestWithParam<Dispatch> {};

INSTANTIATE_TEST_SUITE_P(All, ShutdownTest,
                         testing::Values(Dispatch::adaptive, Dispatch::workers,
                                         Dispatch::poll_thread),
                         [](const auto& info) {
                           return info.param == Dispatch::adaptive  ? "adaptive"
                                  : info.param == Dispatch::workers ? "workers"
                                                                    : "poll_thread";
                         });

TEST_P(ShutdownTest, StopsTasks) {
  const int before = Counted::live();
  for (const absl::Duration timeout : {kForEver, absl::ZeroDuration()}) {
    Runtime runtime({.workers = 2, .dispatch = GetParam()});
    Job job = runtime.spawn(waits);
    const Job inner = runtime.spawn([]() -> Task<> {
      co_await all(waits(), group([](Group& group) -> Task<> {
                     for (int i = 0; i < 10; ++i) group.spawn(waits);
                     co_await waits();
                   }),
                   within(absl::Hours(1), waits()));
    });
    EXPECT_TRUE(runtime.shutdown(timeout).ok());
    EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
    EXPECT_TRUE(absl::IsCancelled(inner.wait())) << inner.wait();
    EXPECT_EQ(Counted::live(), before);
  }
}

TEST_P(ShutdownTest, TheDestructorStopsTasks) {
  const int before = Counted::live();
  {
    Runtime runtime({.dispatch = GetParam()});
    for (int i = 0; i < 10; ++i) (void)runtime.spawn(waits);
  }
  EXPECT_EQ(Counted::live(), before);
}

// A stop that is not taken is followed by the cut off.
TEST_P(ShutdownTest, TasksThatIgnoreErrorsEndAtTheCutOff) {
  const int before = Counted::live();
  for (Task<> (*const task)() :
       {ignores_errors, ignores_errors_of_yield, never_suspends, shields, joins, groups}) {
    for (const absl::Duration timeout : {absl::ZeroDuration(), absl::Nanoseconds(1)}) {
      Runtime runtime({.workers = 2, .dispatch = GetParam()});
      const Job job = runtime.spawn(task);
      const Order order = runtime.order();
      for (int i = 0; i < 3; ++i) (void)runtime.spawn_in(order, task);
      EXPECT_TRUE(runtime.run([]() -> Task<> { co_await yield(); }).ok());
      EXPECT_TRUE(runtime.shutdown(timeout).ok());
      EXPECT_FALSE(job.wait().ok());
    }
    EXPECT_EQ(Counted::live(), before);
  }
}

TEST_P(ShutdownTest, WhatATaskSpawnsAtItsStopEndsToo) {
  const int before = Counted::live();
  struct Phoenix {
    static Task<> rise(Runtime& runtime, std::atomic<int>& left) {
      Counted local;
      (void)co_await sleep_for(kForEver).result();
      if (--left > 0) (void)runtime.spawn(rise, std::ref(runtime), std::ref(left));
    }
  };
  std::atomic<int> left{100};
  Runtime runtime({.dispatch = GetParam()});
  for (int i = 0; i < 3; ++i) (void)runtime.spawn(Phoenix::rise, std::ref(runtime), std::ref(left));
  EXPECT_TRUE(runtime.shutdown(kForEver).ok());
  EXPECT_EQ(Counted::live(), before);
}

// What a shield protects is waited for while the drain timeout lasts.
TEST_P(ShutdownTest, AShieldIsWaitedFor) {
  bool was_saved = false;
  Runtime runtime({.dispatch = GetParam()});
  absl::Notification waits;
  (void)runtime.spawn([&]() -> Task<> {
    waits.Notify();
    (void)co_await sleep_for(kForEver).result();
    co_await shield([](bool& was_saved) -> Task<> {
      co_await sleep_for(absl::Nanoseconds(1));
      was_saved = true;
    }(was_saved));
  });
  waits.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown(kForEver).ok());
  EXPECT_TRUE(was_saved);
}

Task<> blocks(absl::Notification& begun, absl::Notification& go_on) {
  co_await blocking([&] {
    begun.Notify();
    go_on.WaitForNotification();
  });
}

// What blocks is waited for behind the drain time as well. The clock goes on until the log says so.
TEST_P(ShutdownTest, TheLogSaysWhichTaskItWaitsForAndWhere) {
  FaultKernel kernel;
  kernel.use_manual_clock();
  const LogLines lines(absl::LogSeverity::kWarning);
  absl::Notification begun;
  absl::Notification go_on;
  {
    Runtime runtime({.workers = 2, .dispatch = GetParam(), .kernel = &kernel});
    (void)runtime.spawn(blocks, std::ref(begun), std::ref(go_on));
    begun.WaitForNotification();
    std::thread stopper([&] { EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok()); });
    while (!lines.has("shutdown_test.cc:")) {
      kernel.advance(absl::Seconds(1));
      runtime.request_shutdown();  // the thread that waits looks at the clock
      std::this_thread::yield();
    }
    go_on.Notify();
    stopper.join();
  }
  const std::string line = lines.await("shutdown_test.cc:");
  EXPECT_THAT(line, testing::HasSubstr("tasks: 1 (a task; "));
  EXPECT_THAT(line, testing::HasSubstr("blocks"));
  EXPECT_THAT(line, testing::HasSubstr(": blocking), calls of blocking(): 1"));
}

// With Dispatch::caller the loop's thread cannot say it, but who waits for the end can.
TEST(TaskShutdown, TheLogSaysThatTheLoopOfACallerIsStuck) {
  FaultKernel kernel;
  kernel.use_manual_clock();
  const LogLines lines(absl::LogSeverity::kWarning);
  absl::Notification begun;
  absl::Notification go_on;
  Runtime runtime({.dispatch = Dispatch::caller, .kernel = &kernel});
  (void)runtime.spawn([&]() -> Task<> {
    begun.Notify();
    go_on.WaitForNotification();
    co_return;
  });
  std::thread loop([&] { (void)runtime.run_until([] { return false; }); });
  begun.WaitForNotification();
  std::thread stopper([&] { EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok()); });
  while (!lines.has("tasks: 1 (a task that is running)")) {
    kernel.advance(absl::Seconds(1));
    runtime.request_shutdown();
    std::this_thread::yield();
  }
  go_on.Notify();
  stopper.join();
  loop.join();
}

// So it does where only a closure is left, which is no task.
TEST(TaskShutdown, TheLogSaysThatAPostedClosureHoldsTheLoopOfACaller) {
  FaultKernel kernel;
  kernel.use_manual_clock();
  const LogLines lines(absl::LogSeverity::kWarning);
  absl::Notification begun;
  absl::Notification go_on;
  Runtime runtime({.dispatch = Dispatch::caller, .kernel = &kernel});
  ASSERT_TRUE(runtime
                  .post([&] {
                    begun.Notify();
                    go_on.WaitForNotification();
                  })
                  .ok());
  std::thread loop([&] { (void)runtime.run_until([] { return false; }); });
  begun.WaitForNotification();
  std::thread stopper([&] { EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok()); });
  while (!lines.has("still waits")) {
    kernel.advance(absl::Seconds(1));
    runtime.request_shutdown();
    std::this_thread::yield();
  }
  go_on.Notify();
  stopper.join();
  loop.join();
}

TEST_P(ShutdownTest, AnEndByItselfIsNoStop) {
  Runtime runtime({.dispatch = GetParam()});
  const Job job = runtime.spawn([]() -> Task<> {
    for (int i = 0; i < 10; ++i) co_await yield();
  });
  EXPECT_TRUE(job.wait().ok());
  EXPECT_TRUE(runtime.shutdown(kForEver).ok());
  EXPECT_TRUE(job.status()->ok());
}

TEST(TaskShutdown, TheDrainTimeoutCutsOff) {
  const int before = Counted::live();
  ClockKernel kernel;
  Runtime runtime({.kernel = &kernel});
  absl::Notification begun;  // a task that is stopped before does not begin
  absl::Notification stopped;
  const Job job = runtime.spawn([&]() -> Task<> {
    Counted local;
    begun.Notify();
    (void)co_await sleep_for(kForEver).result();
    stopped.Notify();
    for (;;) (void)co_await shield(sleep_for(kForEver)).result();
  });
  begun.WaitForNotification();
  std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::Hours(1)).ok()); });
  stopped.WaitForNotification();
  EXPECT_EQ(job.status(), std::nullopt);
  kernel.advance(absl::Hours(1));
  shutdown.join();
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
  EXPECT_EQ(Counted::live(), before);
}

TEST(TaskShutdown, TheSecondSignalCutsOff) {
  const int before = Counted::live();
  Runtime runtime({.drain_timeout = absl::Hours(1)});
  absl::Notification begun;
  absl::Notification stopped;
  ASSERT_TRUE(runtime.catch_signals().ok());
  const Job job = runtime.spawn([&]() -> Task<> {
    Counted local;
    begun.Notify();
    (void)co_await sleep_for(kForEver).result();
    stopped.Notify();
    for (;;) (void)co_await shield(sleep_for(kForEver)).result();
  });
  begun.WaitForNotification();
  std::thread killer([&] {
    ASSERT_EQ(kill(getpid(), SIGTERM), 0);
    stopped.WaitForNotification();
    ASSERT_EQ(kill(getpid(), SIGTERM), 0);
  });
  EXPECT_TRUE(runtime.run_until_signal().ok());
  killer.join();
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
  EXPECT_EQ(Counted::live(), before);
}

TEST(TaskShutdown, StopsAndSpawnsRaceWithIt) {
  const int before = Counted::live();
  for (int round = 0; round < 50; ++round) {
    Runtime runtime({.workers = 2});
    std::thread spawner([&] {
      for (int i = 0; i < 50; ++i) {
        const Job job = runtime.spawn(i % 2 == 0 ? waits : ignores_errors);
        if (i % 3 == 0) job.stop();
        if (absl::IsFailedPrecondition(job.status().value_or(absl::OkStatus()))) break;
      }
    });
    EXPECT_TRUE(runtime.shutdown(absl::Microseconds(20 * (round % 3))).ok());
    spawner.join();
  }
  EXPECT_EQ(Counted::live(), before);
}

}  // namespace
}  // namespace epore
