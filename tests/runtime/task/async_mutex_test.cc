#include "epore/runtime/async_mutex.h"

#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

TEST(AsyncMutex, OneTaskAtATimeInTheOrderOfTheCalls) {
  Runtime runtime;
  AsyncMutex mutex;
  std::vector<int> steps;
  absl::Status got = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      for (int i = 0; i < 3; ++i) {
        group.spawn(
            [&](int number) -> Task<> {
              AsyncLock lock = co_await mutex.lock();
              steps.push_back(number);
              co_await yield();
              steps.push_back(number);
            },
            i);
      }
      co_return;
    });
  });
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_EQ(steps, std::vector<int>({0, 0, 1, 1, 2, 2}));
}

TEST(AsyncMutex, TryLockAndUnlock) {
  AsyncMutex mutex;
  std::optional<AsyncLock> lock = mutex.try_lock();
  ASSERT_TRUE(lock.has_value());
  EXPECT_FALSE(mutex.try_lock().has_value());
  AsyncLock moved = *std::move(lock);
  EXPECT_FALSE(mutex.try_lock().has_value());
  moved.unlock();
  moved.unlock();
  EXPECT_TRUE(mutex.try_lock().has_value());
}

TEST(AsyncMutex, AnErrorInsideUnlocks) {
  Runtime runtime;
  AsyncMutex mutex;
  absl::Status got = runtime.run([&]() -> Task<> {
    AsyncLock lock = co_await mutex.lock();
    co_await absl::NotFoundError("no");
  });
  EXPECT_EQ(got, absl::NotFoundError("no"));
  EXPECT_TRUE(mutex.try_lock().has_value());
}

TEST(AsyncMutex, AStoppedWaiterIsPassedOver) {
  Runtime runtime;
  AsyncMutex mutex;
  bool went_on = false;
  absl::Status got = runtime.run([&]() -> Task<> {
    AsyncLock lock = co_await mutex.lock();
    auto stopped = [&]() -> Task<> {
      absl::Status status = (co_await within(absl::Nanoseconds(1), mutex.lock()).result()).status();
      EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
      lock.unlock();
    };
    auto waits = [&]() -> Task<> {
      AsyncLock mine = co_await mutex.lock();
      went_on = true;
    };
    co_await all(stopped(), waits());
  });
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_TRUE(went_on);
  EXPECT_TRUE(mutex.try_lock().has_value());
}

TEST(AsyncMutex, AStopAfterTheLockWasGivenIsTooLate) {
  Runtime runtime;
  AsyncMutex mutex;
  bool had_it = false;
  absl::Status got = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      AsyncLock lock = co_await mutex.lock();
      group.spawn([&]() -> Task<> {
        AsyncLock mine = co_await mutex.lock();
        had_it = true;
      });
      lock.unlock();
      group.stop();
    });
  });
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_TRUE(had_it);
  EXPECT_TRUE(mutex.try_lock().has_value());
}

TEST(AsyncMutex, ProtectsAcrossOrders) {
  Runtime runtime({.workers = 3, .dispatch = Dispatch::workers});
  AsyncMutex mutex;
  int count = 0;  // no atomic: the mutex orders its users
  std::vector<Job> jobs;
  for (int i = 0; i < 5; ++i) {
    jobs.push_back(runtime.spawn([&]() -> Task<> {
      for (int round = 0; round < 40; ++round) {
        AsyncLock lock = co_await mutex.lock();
        const int before = count;
        co_await yield();
        count = before + 1;
      }
    }));
  }
  for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok());
  EXPECT_EQ(count, 200);
}

}  // namespace
}  // namespace epore
