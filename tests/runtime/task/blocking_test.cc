#include "epore/runtime/blocking.h"

#include <atomic>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/support/fault_kernel.h"

namespace epore {
namespace {

std::thread::id here() { return std::this_thread::get_id(); }

class Blocking : public testing::TestWithParam<Dispatch> {
 protected:
  RuntimeOptions options() { return {.dispatch = GetParam()}; }
};

INSTANTIATE_TEST_SUITE_P(Dispatches, Blocking,
                         testing::Values(Dispatch::adaptive, Dispatch::workers,
                                         Dispatch::poll_thread),
                         [](const auto& info) { return std::string(dispatch_name(info.param)); });

TEST_P(Blocking, RunsElsewhereAndComesBackWithTheValue) {
  Runtime runtime(options());
  const Order order = runtime.order();
  auto work = [&]() -> Task<> {
    const std::thread::id there = co_await blocking(here);
    EXPECT_NE(there, std::this_thread::get_id());
    EXPECT_TRUE(order.is_current());
    auto not_in_the_order = [&] { return order.is_current(); };
    const bool is_there = co_await blocking(not_in_the_order);
    EXPECT_FALSE(is_there);
    EXPECT_TRUE(order.is_current());
  };
  absl::Status status = runtime.spawn_in(order, work).wait();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(Blocking, GivesWhatItReturns) {
  Runtime runtime(options());
  absl::Status status = runtime.run([&]() -> Task<> {
    auto adds = [](std::unique_ptr<int> number, int by) {
      *number += by;
      return number;
    };
    std::unique_ptr<int> sum = co_await blocking(adds, std::make_unique<int>(1), 2);
    EXPECT_EQ(*sum, 3);
    int count = 0;
    auto counts = [&] { ++count; };
    co_await blocking(counts);
    EXPECT_EQ(count, 1);
    auto value_or_error = [](bool is_good) -> absl::StatusOr<std::string> {
      if (is_good) return std::string("good");
      return absl::NotFoundError("no");
    };
    const std::string good = co_await blocking(value_or_error, true);
    EXPECT_EQ(good, "good");
    absl::StatusOr<std::string> bad = co_await blocking(value_or_error, false).result();
    EXPECT_EQ(bad.status(), absl::NotFoundError("no"));
    auto throws = [] { throw std::runtime_error("oh"); };
    absl::Status thrown = co_await blocking(throws).result();
    EXPECT_TRUE(absl::IsInternal(thrown)) << thrown;
    auto fails = [] { return absl::DataLossError("gone"); };
    co_await blocking(fails);
  });
  EXPECT_EQ(status, absl::DataLossError("gone"));
}

TEST_P(Blocking, HoldsUpNobody) {
  Runtime runtime(options());
  AsyncEvent has_begun;
  absl::Notification go_on;
  auto waits = [&] {
    has_begun.set();
    go_on.WaitForNotification();
  };
  const Order order = runtime.order();
  Job job = runtime.spawn_in(order, [&]() -> Task<> { co_await blocking(waits); });
  Job other = runtime.spawn_in(order, [&]() -> Task<> {
    co_await has_begun.wait();
    co_await sleep_for(absl::Nanoseconds(1));  // timers fire
    go_on.Notify();
  });
  EXPECT_TRUE(job.wait().ok()) << job.wait();
  EXPECT_TRUE(other.wait().ok());
}

TEST_P(Blocking, AStopWaitsForACallThatHasBegunAndEndsOneInLine) {
  Runtime runtime(options());
  constexpr int kAtOnce = 8;
  absl::Notification go_on;
  std::atomic<int> begun = 0;
  absl::Notification all_have_begun;
  auto waits = [&] {
    if (begun.fetch_add(1) + 1 == kAtOnce) all_have_begun.Notify();
    go_on.WaitForNotification();
    return 5;
  };
  std::vector<Job> jobs;
  std::atomic<int> sum = 0;
  auto work = [&]() -> Task<> { sum.fetch_add(co_await blocking(waits)); };
  for (int i = 0; i < kAtOnce; ++i) jobs.push_back(runtime.spawn(work));
  all_have_begun.WaitForNotification();
  Job in_line = runtime.spawn(work);
  in_line.stop();
  EXPECT_TRUE(absl::IsCancelled(in_line.wait())) << in_line.wait();
  for (const Job& job : jobs) job.stop();
  go_on.Notify();
  for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok()) << "its value is the result";
  EXPECT_EQ(sum.load(), 5 * kAtOnce);
  EXPECT_EQ(begun.load(), kAtOnce);
}

TEST_P(Blocking, SoManyWaitInLineAndOneMoreIsRefused) {
  RuntimeOptions three = options();
  three.blocking_queue = 3;
  Runtime runtime(three);
  constexpr int kAtOnce = 8;
  absl::Notification go_on;
  std::atomic<int> begun = 0;
  absl::Notification all_have_begun;
  auto waits = [&] {
    if (begun.fetch_add(1) + 1 == kAtOnce) all_have_begun.Notify();
    go_on.WaitForNotification();
  };
  std::atomic<int> refused = 0;
  const auto note = [&](const absl::Status& status) {
    if (status.ok()) return;
    EXPECT_EQ(status, absl::ResourceExhaustedError(
                          "blocking: 3 calls wait for the threads of the lane blocking already "
                          "(RuntimeOptions::blocking_queue)"));
    ++refused;
  };
  auto work = [&]() -> Task<> { note(co_await blocking(waits).result()); };
  auto file = [&]() -> Task<> { note((co_await read_file("/dev/null").result()).status()); };
  std::vector<Job> jobs;
  for (int i = 0; i < kAtOnce; ++i) jobs.push_back(runtime.spawn(work));
  all_have_begun.WaitForNotification();
  const Order order = runtime.order();
  for (int i = 0; i < 5; ++i) jobs.push_back(runtime.spawn_in(order, work));
  EXPECT_TRUE(jobs.back().wait().ok());
  EXPECT_EQ(refused.load(), 2) << "three wait";
  EXPECT_TRUE(runtime.run(file).ok());
  EXPECT_EQ(refused.load(), 3);
  go_on.Notify();
  for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok()) << job.wait();
  EXPECT_EQ(begun.load(), kAtOnce + 3);
  EXPECT_EQ(refused.load(), 3);
}

// Also with no place in line a call that finds a thread runs.
TEST_P(Blocking, WithoutALineThreadsAreUsed) {
  RuntimeOptions none = options();
  none.blocking_queue = 0;
  Runtime runtime(none);
  absl::Status status = runtime.run([]() -> Task<> { (void)co_await blocking(here); });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(Blocking, AShutdownWaitsForIt) {
  Runtime runtime(options());
  absl::Notification has_begun;
  absl::Notification go_on;
  std::atomic<bool> has_ended = false;
  auto waits = [&] {
    has_begun.Notify();
    go_on.WaitForNotification();
    has_ended.store(true);
  };
  Job job = runtime.spawn([&]() -> Task<> { co_await blocking(waits); });
  has_begun.WaitForNotification();
  std::thread other([&] { go_on.Notify(); });
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_TRUE(has_ended.load());
  other.join();
}

TEST_P(Blocking, WhatWouldWaitForTheRuntimeIsRefused) {
  Runtime runtime(options());
  auto shuts_down = [&] { return runtime.shutdown(); };
  absl::Status status = runtime.run([&]() -> Task<> { co_await blocking(shuts_down); });
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

TEST_P(Blocking, WithoutAThreadItFails) {
  FaultKernel kernel;
  RuntimeOptions options = this->options();
  options.kernel = &kernel;
  Runtime runtime(options);
  kernel.fail(KernelCall::kThreadStart, EAGAIN);
  auto nothing = [] {};
  absl::Status failed = runtime.run([&]() -> Task<> { co_await blocking(nothing); });
  EXPECT_FALSE(failed.ok());
  absl::Status status = runtime.run([&]() -> Task<> { co_await blocking(nothing); });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(Blocking, ManyCallsWithStops) {
  Runtime runtime(options());
  std::atomic<int> called = 0;
  auto counts = [&] {
    called.fetch_add(1);
    return 1;
  };
  std::vector<Job> jobs;
  std::atomic<int> got = 0;
  for (int i = 0; i < 20; ++i) {
    jobs.push_back(runtime.spawn([&]() -> Task<> {
      for (int round = 0; round < 20; ++round) got.fetch_add(co_await blocking(counts));
    }));
  }
  for (std::size_t i = 0; i < jobs.size(); i += 2) jobs[i].stop();
  for (const Job& job : jobs) (void)job.wait();
  EXPECT_EQ(called.load(), got.load()) << "a call that has begun gives its value";
  EXPECT_GE(called.load(), 200);
}

}  // namespace
}  // namespace epore
