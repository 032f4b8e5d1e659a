#include "epore/runtime/latch.h"

#include <atomic>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

TEST(Latch, CountsDownToZeroAtMost) {
  Latch latch(3);
  latch.count_down();
  EXPECT_EQ(latch.count(), 2u);
  latch.count_down(5);
  EXPECT_EQ(latch.count(), 0u);
  latch.count_down();
  EXPECT_EQ(latch.count(), 0u);
}

TEST(Latch, ZeroWaitsForNothing) {
  Runtime runtime;
  Latch latch(0);
  EXPECT_TRUE(runtime.run([&]() -> Task<> { co_await latch.wait(); }).ok());
}

TEST(Latch, WaitsForAllThreads) {
  Runtime runtime({.workers = 2, .dispatch = Dispatch::workers});
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> done = 0;
    std::vector<std::thread> threads;
    absl::Status got = runtime.run([&]() -> Task<> {
      Latch latch(4);
      for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&done, &latch] {
          done.fetch_add(1);
          latch.count_down();
        });
      }
      co_await latch.wait();
      EXPECT_EQ(done.load(), 4);
    });
    EXPECT_TRUE(got.ok()) << got;
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(Latch, AStopEndsTheWaitAndCountsNothing) {
  Runtime runtime;
  Latch latch(1);
  absl::Status got =
      runtime.run([&]() -> Task<> { co_await within(absl::Nanoseconds(1), latch.wait()); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
  EXPECT_EQ(latch.count(), 1u);
}

TEST(Latch, CompletedBeatsStopped) {
  Runtime runtime;
  Latch latch(1);
  absl::Status waited = absl::UnknownError("never");
  (void)runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> { waited = co_await latch.wait().result(); });
      latch.count_down();
      group.stop();
      co_return;
    });
  });
  EXPECT_TRUE(waited.ok()) << waited;
}

}  // namespace
}  // namespace epore
