#include "epore/runtime/until.h"

#include <memory>
#include <stop_token>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

Task<int> sleeps_for_ever() {
  co_await sleep_for(absl::InfiniteDuration());
  co_return 1;
}

Task<std::unique_ptr<int>> gives(int value) { co_return std::make_unique<int>(value); }

TEST(Until, GivesWhatIsInside) {
  Runtime runtime;
  std::stop_source source;
  absl::Status status = runtime.run([&]() -> Task<> {
    std::unique_ptr<int> got = co_await until(source.get_token(), gives(3));
    EXPECT_EQ(*got, 3);
    co_await until(source.get_token(), sleep_for(absl::Nanoseconds(1)));
    co_await until(std::stop_token(), sleep_for(absl::Nanoseconds(1)));
    source.request_stop();
    co_await yield();  // the stop was for what is inside only
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Until, ResultInsideIsTheSameAsOutside) {
  Runtime runtime;
  std::stop_source source;
  source.request_stop();
  absl::Status status = runtime.run([&]() -> Task<> {
    absl::StatusOr<int> got = co_await until(source.get_token(), sleeps_for_ever().result());
    EXPECT_TRUE(absl::IsCancelled(got.status())) << got.status();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Until, ARequestOfAnotherThreadStopsWhatIsInside) {
  Runtime runtime({.workers = 2, .dispatch = Dispatch::workers});
  for (int round = 0; round < 100; ++round) {
    std::stop_source source;
    std::thread other([&] { source.request_stop(); });
    absl::Status status = runtime.run([&]() -> Task<> {
      absl::StatusOr<int> got = co_await until(source.get_token(), sleeps_for_ever()).result();
      EXPECT_TRUE(absl::IsCancelled(got.status())) << got.status();
      co_await yield();
    });
    other.join();
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(Until, ARequestRacesWithTheEnd) {
  Runtime runtime({.workers = 2, .dispatch = Dispatch::workers});
  for (int round = 0; round < 100; ++round) {
    std::stop_source source;
    std::thread other([&] { source.request_stop(); });
    AsyncEvent event;
    std::thread setter([&] { event.set(); });
    absl::Status status =
        runtime.run([&]() -> Task<> { co_await until(source.get_token(), event.wait()); });
    other.join();
    setter.join();
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
  }
}

TEST(Until, ARequestBeforeBeginsNothing) {
  Runtime runtime;
  std::stop_source source;
  source.request_stop();
  bool has_begun = false;
  absl::Status status = runtime.run([&]() -> Task<> {
    auto work = [&]() -> Task<> {
      has_begun = true;
      co_return;
    };
    co_await until(source.get_token(), work());
  });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_FALSE(has_begun);
}

TEST(Until, ARequestInTheTaskItself) {
  Runtime runtime;
  std::stop_source source;
  absl::Status status = runtime.run([&]() -> Task<> {
    auto work = [&]() -> Task<> {
      co_await yield();
      source.request_stop();
      co_await sleep_for(absl::InfiniteDuration());
    };
    co_await until(source.get_token(), work());
  });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST(Until, StopsAndDeadlinesFromOutsideHold) {
  Runtime runtime;
  std::stop_source source;
  absl::Status status = runtime.run([&]() -> Task<> {
    (void)co_await within(absl::Nanoseconds(1), until(source.get_token(), sleeps_for_ever()));
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  Job job = runtime.spawn(
      [&]() -> Task<> { (void)co_await until(source.get_token(), sleeps_for_ever()); });
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
  EXPECT_FALSE(source.stop_requested());
}

TEST(Until, WhatHasCompletedBeatsTheRequest) {
  Runtime runtime;
  std::stop_source source;
  Channel<int> channel(1);
  absl::StatusOr<int> got;
  absl::Status status = runtime.run([&]() -> Task<> {
    auto waits = [&]() -> Task<> {
      got = co_await until(source.get_token(), channel.receive()).result();
    };
    auto gives = [&]() -> Task<> {
      EXPECT_TRUE(channel.try_send(5));
      source.request_stop();
      co_return;
    };
    co_await all(waits(), gives());
  });
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, 5);
}

TEST(Until, AShieldInsideHolds) {
  Runtime runtime;
  std::stop_source source;
  bool was_cleaned = false;
  absl::Status status = runtime.run([&]() -> Task<> {
    auto clean = [&]() -> Task<> {
      co_await sleep_for(absl::Nanoseconds(1));
      was_cleaned = true;
    };
    auto work = [&]() -> Task<> {
      source.request_stop();
      co_await shield(clean());
      co_await sleep_for(absl::InfiniteDuration());
    };
    co_await until(source.get_token(), work());
  });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(was_cleaned);
}

}  // namespace
}  // namespace epore
