#include "epore/runtime/internal/reactor/worker_pool.h"

#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "gtest/gtest.h"
#include "tests/runtime/internal/reactor/core_test_base.h"

namespace epore::internal {
namespace {

class WorkerPoolTest : public CoreTest {
 protected:
  // Starts `workers` and returns when all are about to sleep.
  Core& start(int workers) {
    kernel_.use_manual_clock();  // the watchdog never ticks, so it is never idle and needs no wake
    absl::BlockingCounter asleep(workers);
    kernel_.before(KernelCall::kPark, [&](const FaultKernel::Call&) {
      if (this_thread.watched != nullptr) asleep.DecrementCount();  // not the watchdog's
    });
    Core& started = core(Dispatch::workers, workers);
    asleep.Wait();
    kernel_.before(KernelCall::kPark, nullptr);
    return started;
  }

  Ref<Runnable> make(std::function<void()> body) {
    auto runnable = Ref<Runnable>::adopt(new TestRunnable(reactor(), std::move(body)));
    (void)runnable->word().wake();  // as schedule() wants it
    return runnable;
  }

  std::uint64_t unparks() { return kernel_.calls(KernelCall::kUnpark); }
};

TEST_F(WorkerPoolTest, F30OneRunnableWakesOneWorkerHoweverManySleep) {
  Core& core = start(4);
  const std::uint64_t before = unparks();
  absl::Notification ran;
  core.schedule(make([&] { ran.Notify(); }));
  ran.WaitForNotification();
  EXPECT_EQ(unparks() - before, 1u);
}

TEST_F(WorkerPoolTest, F30OnePostWakesOneWorker) {
  Core& core = start(4);
  const std::uint64_t before = unparks();
  absl::Notification ran;
  ASSERT_TRUE(core.post([&] { ran.Notify(); }).ok());
  ran.WaitForNotification();
  EXPECT_EQ(unparks() - before, 1u);
  EXPECT_EQ(core.counters().sum(Counter::wakes), 0u);  // and not the poll thread
}

TEST_F(WorkerPoolTest, ABatchCostsItsPusherOneWakeAndReachesAllWorkers) {
  constexpr int kWorkers = 4;
  Core& core = start(kWorkers);
  const auto woken_by_pusher = std::make_shared<std::atomic<int>>(0);
  const std::thread::id pusher = std::this_thread::get_id();
  kernel_.before(KernelCall::kUnpark, [woken_by_pusher, pusher](const FaultKernel::Call&) {
    if (std::this_thread::get_id() == pusher) woken_by_pusher->fetch_add(1);
  });
  absl::Barrier* const together = new absl::Barrier(kWorkers + 1);
  RunQueue batch;
  for (int i = 0; i < kWorkers; ++i) {
    batch.push(make([together] {
      if (together->Block()) delete together;  // returns only if as many run at the same time
    }));
  }
  core.schedule(batch);
  EXPECT_TRUE(batch.empty());
  if (together->Block()) delete together;
  EXPECT_EQ(woken_by_pusher->load(), 1);
}

TEST_F(WorkerPoolTest, NothingWaitsBehindASlowRunnableWhileAnotherWorkerIsFree) {
  Core& core = start(2);
  absl::Notification others_ran;
  absl::Notification slow_ran;
  absl::BlockingCounter others(5);
  RunQueue batch;
  batch.push(make([&] {
    others_ran.WaitForNotification();
    slow_ran.Notify();
  }));
  for (int i = 0; i < 5; ++i) batch.push(make([&] { others.DecrementCount(); }));
  core.schedule(batch);
  others.Wait();
  others_ran.Notify();
  slow_ran.WaitForNotification();
}

TEST_F(WorkerPoolTest, ALeaderTakesBackAllThatNoWorkerHasTaken) {
  Core& core = start(2);
  absl::Notification began;
  absl::Notification may_end;
  absl::Notification ended;
  RunQueue batch;
  batch.push(make([&] {
    began.Notify();
    may_end.WaitForNotification();
    ended.Notify();
  }));
  for (int i = 0; i < 3; ++i) batch.push(make([] { ADD_FAILURE() << "it ran"; }));
  ASSERT_TRUE(core.workers().share(batch));
  began.WaitForNotification();
  RunQueue taken;
  taken.push(make([] {}));
  core.workers().take_all_back(taken);
  EXPECT_EQ(taken.size(), 4u);
  EXPECT_FALSE(core.workers().take_back());
  may_end.Notify();
  ended.WaitForNotification();
}

TEST_F(WorkerPoolTest, WhatAWorkerQueuesWhileThePoolStopsIsRun) {
  Core& core = start(1);
  int left = 100;
  std::function<void()> again;
  again = [&] {
    if (--left > 0) core.schedule(make(again));
  };
  core.schedule(make(again));
  EXPECT_TRUE(core.shutdown().run(0, [] { return false; }).ok());
  EXPECT_EQ(left, 0);
}

TEST_F(WorkerPoolTest, AfterTheLastWorkerHasGoneABatchIsNotTaken) {
  Core& core = this->core(Dispatch::poll_thread);
  WorkerPool pool(core);
  RunQueue batch;
  batch.push(make([] {}));
  EXPECT_FALSE(pool.push(batch));
  ASSERT_TRUE(pool.start(2, 0).ok());
  EXPECT_TRUE(pool.push(batch));
  EXPECT_TRUE(batch.empty());
  pool.request_stop();
  pool.join();
  EXPECT_TRUE(pool.has_ended());
  batch.push(make([] { ADD_FAILURE() << "it ran"; }));
  EXPECT_FALSE(pool.push(batch));
  EXPECT_EQ(batch.size(), 1u);
}

TEST_F(WorkerPoolTest, PushesThatRaceTheStopRunOrAreRefused) {
  Core& core = this->core(Dispatch::poll_thread);
  for (int round = 0; round < 20; ++round) {
    WorkerPool pool(core);
    ASSERT_TRUE(pool.start(2, 0).ok());
    std::atomic<int> ran{0};
    std::atomic<int> taken{0};
    absl::Barrier* const barrier = new absl::Barrier(2);
    std::thread pusher([&] {
      if (barrier->Block()) delete barrier;
      for (int i = 0; i < 50; ++i) {
        RunQueue batch;
        batch.push(make([&] { ran.fetch_add(1); }));
        if (!pool.push(batch)) break;
        taken.fetch_add(1);
      }
    });
    if (barrier->Block()) delete barrier;
    pool.request_stop();
    pool.join();
    pusher.join();
    EXPECT_EQ(ran.load(), taken.load());
  }
}

TEST_F(WorkerPoolTest, AWorkerThatCannotBeStartedIsAnErrorAndTheOthersEnd) {
  for (int k = 1; k <= 3; ++k) {
    FaultKernel kernel;
    kernel.fail(KernelCall::kThreadStart, EAGAIN, k);
    RuntimeOptions options;
    options.workers = 2;
    options.kernel = &kernel;
    const auto core = Ref<Core>::adopt(new Core(options));
    EXPECT_EQ(core->status().code(), absl::StatusCode::kUnavailable) << core->status();
    EXPECT_EQ(core->phase(), Core::Phase::stopped);
    EXPECT_EQ(kernel.calls(KernelCall::kThreadJoin), static_cast<std::uint64_t>(k - 1));
  }
}

// With Dispatch::workers it would take the processor from those that it works for.
TEST_F(WorkerPoolTest, APollThreadThatRunsNoCallbacksGivesWayToTheWorkers) {
  kernel_.fail(KernelCall::kSetScheduler, EPERM);  // and does as well without
  absl::Notification asked;
  kernel_.before(KernelCall::kSetScheduler, [&](const FaultKernel::Call&) {
    EXPECT_NE(this_thread.leads, nullptr);  // a poll thread
    asked.Notify();
  });
  absl::Notification ran;
  ASSERT_TRUE(core(Dispatch::workers).post([&] { ran.Notify(); }).ok());
  asked.WaitForNotification();
  ran.WaitForNotification();
}

TEST_F(WorkerPoolTest, APollThreadThatRunsCallbacksStaysAsItIs) {
  absl::Notification ran;
  ASSERT_TRUE(core(Dispatch::adaptive).post([&] { ran.Notify(); }).ok());
  ran.WaitForNotification();
  EXPECT_EQ(kernel_.calls(KernelCall::kSetScheduler), 0u);
}

}  // namespace
}  // namespace epore::internal
