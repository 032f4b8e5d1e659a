#include "epore/runtime/on.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

struct Counter {
  Task<int> add(int by) {
    EXPECT_TRUE(order.is_current());
    count += by;
    co_await yield();
    EXPECT_TRUE(order.is_current());
    co_return count;
  }

  Order order;
  int count = 0;
};

TEST(On, RunsThereAndComesBackWithTheValue) {
  Runtime runtime({.workers = 2, .dispatch = Dispatch::workers});
  Counter counter{runtime.order()};
  const Order home = runtime.order();
  absl::Status status = runtime
                            .spawn_in(home,
                                      [&]() -> Task<> {
                                        const int one =
                                            co_await on(counter.order, &Counter::add, &counter, 1);
                                        EXPECT_EQ(one, 1);
                                        EXPECT_TRUE(home.is_current());
                                        auto nothing = [&]() -> Task<> {
                                          EXPECT_FALSE(home.is_current());
                                          co_return;
                                        };
                                        co_await on(counter.order, nothing);
                                        EXPECT_TRUE(home.is_current());
                                      })
                            .wait();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(On, GivesValuesThatCanOnlyBeMovedAndErrors) {
  Runtime runtime;
  const Order order = runtime.order();
  auto gives = [](std::unique_ptr<int> value) -> Task<std::unique_ptr<int>> {
    ++*value;
    co_return value;
  };
  auto fails = []() -> Task<int> { co_return absl::NotFoundError("no"); };
  absl::Status status = runtime.run([&]() -> Task<> {
    std::unique_ptr<int> got = co_await on(order, gives, std::make_unique<int>(1));
    EXPECT_EQ(*got, 2);
    absl::StatusOr<int> failed = co_await on(order, fails).result();
    EXPECT_EQ(failed.status(), absl::NotFoundError("no"));
    co_await on(order, fails);
  });
  EXPECT_EQ(status, absl::NotFoundError("no"));
}

TEST(On, TheCallersOwnOrderWillDo) {
  Runtime runtime;
  const Order order = runtime.order();
  Counter counter{order};
  absl::Status status = runtime
                            .spawn_in(order,
                                      [&]() -> Task<> {
                                        const int got =
                                            co_await on(order, &Counter::add, &counter, 4);
                                        EXPECT_EQ(got, 4);
                                      })
                            .wait();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(On, AnotherRuntimesOrderWillDo) {
  Runtime other;
  Runtime runtime;
  Counter counter{other.order()};
  absl::StatusOr<int> got = runtime.run(
      [&]() -> Task<int> { co_return co_await on(counter.order, &Counter::add, &counter, 4); });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, 4);
}

TEST(On, ADeadlineIsPassedOn) {
  Runtime runtime;
  const Order order = runtime.order();
  absl::Status inside;
  auto waits = [&]() -> Task<> {
    inside = co_await sleep_for(absl::InfiniteDuration()).result();
    co_await inside;
  };
  absl::Status status =
      runtime.run([&]() -> Task<> { co_await within(absl::Nanoseconds(1), on(order, waits)); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_TRUE(absl::IsDeadlineExceeded(inside)) << inside;
}

TEST(On, AStopIsPassedOnAndTheEndIsAwaited) {
  Runtime runtime({.workers = 2, .dispatch = Dispatch::workers});
  const Order order = runtime.order();
  for (int round = 0; round < 100; ++round) {
    bool has_begun = false;
    bool has_ended = false;
    auto waits = [&]() -> Task<> {
      has_begun = true;
      (void)co_await sleep_for(absl::InfiniteDuration()).result();
      co_await shield(yield());
      has_ended = true;
    };
    Job job = runtime.spawn([&]() -> Task<> { co_await on(order, waits); });
    job.stop();
    const absl::Status status = job.wait();
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
    EXPECT_EQ(has_begun, has_ended);
  }
}

TEST(On, TheEndRacesWithAStop) {
  Runtime runtime({.workers = 2, .dispatch = Dispatch::workers});
  const Order order = runtime.order();
  auto soon = []() -> Task<int> {
    co_await yield();
    co_return 1;
  };
  for (int round = 0; round < 100; ++round) {
    Job job = runtime.spawn([&]() -> Task<> {
      const int got = co_await on(order, soon);
      EXPECT_EQ(got, 1);
    });
    job.stop();
    const absl::Status status = job.wait();
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
  }
}

TEST(On, AShutdownEndsIt) {
  Runtime runtime;
  const Order order = runtime.order();
  auto waits = []() -> Task<> { co_await sleep_for(absl::InfiniteDuration()); };
  Job job = runtime.spawn([&]() -> Task<> { co_await on(order, waits); });
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
}

TEST(On, AShieldKeepsTheShutdownAway) {
  Runtime runtime;
  const Order order = runtime.order();
  bool was_cleaned = false;
  auto clean = [&]() -> Task<> {
    co_await sleep_for(absl::Nanoseconds(1));
    was_cleaned = true;
  };
  absl::Notification has_begun;
  Job job = runtime.spawn([&]() -> Task<> {
    has_begun.Notify();
    absl::Status stopped = co_await sleep_for(absl::InfiniteDuration()).result();
    co_await shield(on(order, clean));
    co_await stopped;
  });
  has_begun.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  const absl::Status status = job.wait();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(was_cleaned);
}

TEST(On, WhatCannotRunIsAnError) {
  Order gone;
  auto nothing = []() -> Task<> { co_return; };
  {
    Runtime other;
    gone = other.order();
  }
  Runtime runtime;
  absl::Status status = runtime.run([&]() -> Task<> {
    absl::Status none = co_await on(Order(), nothing).result();
    EXPECT_TRUE(absl::IsFailedPrecondition(none)) << none;
    absl::Status ended = co_await on(gone, nothing).result();
    EXPECT_TRUE(absl::IsFailedPrecondition(ended)) << ended;
    co_await within(absl::Minutes(1), sleep_for(absl::Nanoseconds(1)));  // no leaf is left behind
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(On, ManyOrdersMeetInOne) {
  Runtime runtime({.workers = 3, .dispatch = Dispatch::workers});
  Counter counter{runtime.order()};
  std::vector<Job> jobs;
  for (int i = 0; i < 5; ++i) {
    jobs.push_back(runtime.spawn([&]() -> Task<> {
      for (int round = 0; round < 30; ++round) {
        (void)co_await on(counter.order, &Counter::add, &counter, 1);
      }
    }));
  }
  for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok()) << job.wait();
  EXPECT_EQ(counter.count, 150);
}

}  // namespace
}  // namespace epore
