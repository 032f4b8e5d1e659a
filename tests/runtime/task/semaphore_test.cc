#include "epore/runtime/semaphore.h"

#include <atomic>
#include <cstddef>
#include <limits>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

TEST(Semaphore, APermitGoesBackWithItsScope) {
  Runtime runtime;
  Semaphore semaphore(2);
  absl::Status got = runtime.run([&]() -> Task<> {
    {
      Permit one = co_await semaphore.acquire();
      Permit other = co_await semaphore.acquire();
      EXPECT_EQ(semaphore.available(), 0u);
      one.release();
      one.release();
      EXPECT_EQ(semaphore.available(), 1u);
    }
    EXPECT_EQ(semaphore.available(), 2u);
    Permit both = co_await semaphore.acquire(2);
    Permit moved = std::move(both);
    EXPECT_EQ(semaphore.available(), 0u);
    moved.forget();
  });
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_EQ(semaphore.available(), 0u);
  semaphore.release(3);
  EXPECT_EQ(semaphore.available(), 3u);
}

TEST(Semaphore, APermitThatIsAssignedToGivesItsOwnBackAtOnce) {
  Semaphore one(1);
  Semaphore other(1);
  Permit first = *one.try_acquire();
  Permit second = *other.try_acquire();
  first = std::move(second);
  EXPECT_EQ(one.available(), 1u);
  EXPECT_EQ(other.available(), 0u);
  second.release();
  EXPECT_EQ(other.available(), 0u);
  Permit& itself = first;
  first = std::move(itself);
  EXPECT_EQ(other.available(), 0u);
}

TEST(Semaphore, ReleaseStopsAtTheMost) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  Semaphore semaphore(1);
  semaphore.release(kMost);
  EXPECT_EQ(semaphore.available(), kMost);
}

TEST(Semaphore, TryAcquire) {
  Semaphore semaphore(1);
  std::optional<Permit> permit = semaphore.try_acquire();
  ASSERT_TRUE(permit.has_value());
  EXPECT_FALSE(semaphore.try_acquire().has_value());
  permit.reset();
  EXPECT_FALSE(semaphore.try_acquire(2).has_value());
  EXPECT_TRUE(semaphore.try_acquire().has_value());
}

TEST(Semaphore, FirstComeFirstServed) {
  Runtime runtime;
  Semaphore semaphore(0);
  std::vector<int> got;
  absl::Status status = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      for (int i = 0; i < 4; ++i) {
        group.spawn(
            [&](int number) -> Task<> {
              Permit permit = co_await semaphore.acquire(number == 0 ? 3 : 1);
              got.push_back(number);
            },
            i);
      }
      semaphore.release(1);
      EXPECT_FALSE(semaphore.try_acquire().has_value()) << "others wait";
      co_await yield();
      EXPECT_TRUE(got.empty()) << "the first one needs three";
      semaphore.release(2);
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(got, std::vector<int>({0, 1, 2, 3}));
  EXPECT_EQ(semaphore.available(), 3u);
}

TEST(Semaphore, AStoppedFirstLetsThoseBehindGoOn) {
  Runtime runtime;
  Semaphore semaphore(1);
  bool went_on = false;
  absl::Status status = runtime.run([&]() -> Task<> {
    auto large = [&]() -> Task<> { Permit permit = co_await semaphore.acquire(2); };
    auto small = [&]() -> Task<> {
      Permit permit = co_await semaphore.acquire(1);
      went_on = true;
    };
    co_await all(within(absl::Nanoseconds(1), large()), small());
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_EQ(semaphore.available(), 1u);

  status = runtime.run([&]() -> Task<> {
    auto large = [&]() -> Task<> { Permit permit = co_await semaphore.acquire(2); };
    auto small = [&]() -> Task<> {
      Permit permit = co_await semaphore.acquire(1);
      went_on = true;
    };
    auto ends_ok = [&]() -> Task<> {
      (void)co_await within(absl::Nanoseconds(1), large()).result();
    };
    co_await all(ends_ok(), small());
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(went_on);
  EXPECT_EQ(semaphore.available(), 1u);
}

TEST(Semaphore, APermitForATaskThatIsStoppedTooLateIsNotLost) {
  Runtime runtime;
  Semaphore semaphore(0);
  absl::Status acquired = absl::UnknownError("never");
  (void)runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> {
        absl::StatusOr<Permit> permit = co_await semaphore.acquire().result();
        acquired = permit.status();
      });
      semaphore.release();
      group.stop();
      co_return;
    });
  });
  EXPECT_TRUE(acquired.ok()) << acquired;
  EXPECT_EQ(semaphore.available(), 1u);
}

TEST(Semaphore, APermitThatAnyHasNoUseForGoesToTheNext) {
  Runtime runtime;
  Semaphore semaphore(0);
  AsyncEvent event;
  bool went_on = false;
  absl::Status status = runtime.run([&]() -> Task<> {
    auto first = [&]() -> Task<> {
      auto got = co_await any(event.wait(), semaphore.acquire());
      EXPECT_EQ(got.index(), 0u);
    };
    auto second = [&]() -> Task<> {
      Permit permit = co_await semaphore.acquire();
      went_on = true;
    };
    auto setter = [&]() -> Task<> {
      event.set();
      semaphore.release();  // for the first one, which has an event already
      co_return;
    };
    co_await all(first(), second(), setter());
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(went_on);
  EXPECT_EQ(semaphore.available(), 1u);
}

TEST(Semaphore, AcquireThatFailsAllGivesItBack) {
  Runtime runtime;
  Semaphore semaphore(1);
  auto fails = []() -> Task<> { co_await absl::NotFoundError("no"); };
  absl::Status status =
      runtime.run([&]() -> Task<> { co_await all(semaphore.acquire(), fails()); });
  EXPECT_EQ(status, absl::NotFoundError("no"));
  EXPECT_EQ(semaphore.available(), 1u);
}

TEST(Semaphore, AtMostSoManyAtATimeAcrossOrders) {
  Runtime runtime({.workers = 3, .dispatch = Dispatch::workers});
  Semaphore semaphore(2);
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  std::vector<Job> jobs;
  for (int i = 0; i < 6; ++i) {
    jobs.push_back(runtime.spawn([&]() -> Task<> {
      for (int round = 0; round < 30; ++round) {
        Permit permit = co_await semaphore.acquire();
        const int now = inside.fetch_add(1) + 1;
        int before = most.load();
        while (before < now && !most.compare_exchange_weak(before, now)) {
        }
        co_await yield();
        inside.fetch_sub(1);
      }
    }));
  }
  jobs.back().stop();
  for (const Job& job : jobs) (void)job.wait();
  EXPECT_LE(most.load(), 2);
  EXPECT_EQ(semaphore.available(), 2u);
}

// Permits move between tasks that are stopped at any moment, and none is lost.
TEST(Semaphore, StopsAtAnyMomentLoseNoPermit) {
  Runtime runtime({.workers = 3, .dispatch = Dispatch::workers});
  Semaphore semaphore(3);
  for (int round = 0; round < 40; ++round) {
    std::vector<Job> jobs;
    for (int i = 0; i < 4; ++i) {
      jobs.push_back(runtime.spawn([&]() -> Task<> {
        for (;;) {
          auto got = co_await any(semaphore.acquire(2), semaphore.acquire(1));
          co_await yield();
        }
      }));
    }
    for (const Job& job : jobs) job.stop();
    for (const Job& job : jobs) EXPECT_TRUE(absl::IsCancelled(job.wait()));
    ASSERT_EQ(semaphore.available(), 3u);
  }
}

}  // namespace
}  // namespace epore
