#include "epore/runtime/sleep.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/join.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/task.h"
#include "epore/runtime/within.h"
#include "gtest/gtest.h"
#include "tests/runtime/settle.h"
#include "tests/runtime/task/manual_home.h"
#include "tests/support/idle_kernel.h"

namespace epore {
namespace {

constexpr absl::Duration kMs = absl::Milliseconds(1);

std::int64_t ms(std::int64_t nanoseconds) { return nanoseconds / 1'000'000; }

TEST(Sleep, EndsInTime) {
  ManualHome home;
  home.start([]() -> Task<> {
    co_await sleep_for(kMs * 3);
    co_await sleep_until(Instant(std::chrono::milliseconds(9)));
  }());
  home.run();
  EXPECT_TRUE(home.status().ok());
  EXPECT_EQ(ms(home.now()), 9);
}

TEST(Sleep, TakesATurnAtLeast) {
  ManualHome home;
  int done = 0;
  home.start([](int& done) -> Task<> {
    co_await sleep_for(absl::ZeroDuration());
    ++done;
    co_await sleep_for(-absl::InfiniteDuration());
    ++done;
    co_await sleep_until(Instant());
    ++done;
    co_await sleep_until(Instant::min());
    ++done;
  }(done));
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(done, i);
    EXPECT_FALSE(home.has_ended());
    home.turn();
  }
  EXPECT_TRUE(home.has_ended());
  EXPECT_EQ(home.now(), 1);
}

TEST(Sleep, ForEver) {
  for (const bool is_until : {false, true}) {
    ManualHome home;
    home.start([](bool is_until) -> Task<> {
      if (is_until) co_await sleep_until(Instant::max());
      co_await sleep_for(absl::InfiniteDuration());
    }(is_until));
    home.ask_stop();
    home.run();
    EXPECT_TRUE(absl::IsCancelled(home.status())) << home.status();
  }
}

TEST(Sleep, ManyAtOnceInOrder) {
  ManualHome home;
  std::vector<int> order;
  home.start([](std::vector<int>& order) -> Task<> {
    std::vector<Task<>> tasks;
    for (int i = 0; i < 500; ++i) {
      tasks.push_back([](std::vector<int>& order, int at) -> Task<> {
        co_await sleep_for(kMs * at);
        order.push_back(at);
      }(order, 1 + i * 7919 % 503));
    }
    co_await all(std::move(tasks));
  }(order));
  home.run();
  ASSERT_EQ(order.size(), 500u);
  for (std::size_t i = 1; i < order.size(); ++i) EXPECT_LE(order[i - 1], order[i]);
}

TEST(Yield, LetsOthersRun) {
  ManualHome home;
  std::vector<int> order;
  home.start([](std::vector<int>& order) -> Task<> {
    const auto steps = [&order](int first) -> Task<> {
      for (int i = 0; i < 3; ++i) {
        order.push_back(first + i);
        co_await yield();
      }
    };
    co_await all(steps(0), steps(10));
  }(order));
  home.run();
  EXPECT_EQ(order, std::vector<int>({0, 10, 1, 11, 2, 12}));
}

TEST(Ticker, TicksAtEachPeriod) {
  ManualHome home;
  std::vector<std::int64_t> times;
  home.start([](ManualHome& home, std::vector<std::int64_t>& times) -> Task<> {
    Ticker ticker(kMs * 10);
    for (int i = 0; i < 3; ++i) {
      co_await ticker.tick();
      times.push_back(ms(home.now()));
      co_await sleep_for(kMs * 4);  // the work does not move the ticks
    }
    co_await sleep_for(kMs * 24);  // two ticks pass, which are one
    co_await ticker.tick();
    times.push_back(ms(home.now()));
    co_await ticker.tick();
    times.push_back(ms(home.now()));
  }(home, times));
  home.run();
  EXPECT_EQ(times, std::vector<std::int64_t>({10, 20, 30, 58, 60}));
}

// A tick that was not taken is not lost.
TEST(Ticker, ATickThatIsNotTakenIsNotLost) {
  ManualHome home;
  std::vector<std::int64_t> times;
  home.start([](ManualHome& home, std::vector<std::int64_t>& times) -> Task<> {
    Ticker ticker(kMs * 10);
    while (times.size() < 3) {
      auto first = co_await any(ticker.tick(), sleep_for(kMs * 3));
      if (first.index() == 0) times.push_back(ms(home.now()));
      (void)co_await within(kMs, ticker.tick()).result();
    }
  }(home, times));
  home.run();
  ASSERT_EQ(times.size(), 3u);
  EXPECT_LE(times.back(), 40);
}

TEST(Ticker, StrangePeriods) {
  for (const absl::Duration period : {absl::ZeroDuration(), absl::Seconds(-1)}) {
    ManualHome home;
    home.start([](absl::Duration period) -> Task<> {
      Ticker ticker(period);
      co_await ticker.tick();
    }(period));
    home.run();
    EXPECT_TRUE(absl::IsInvalidArgument(home.status())) << home.status();
  }
  for (const absl::Duration period : {absl::Nanoseconds(1) / 4, absl::Nanoseconds(1)}) {
    ManualHome home;
    home.start([](absl::Duration period) -> Task<> {
      Ticker ticker(period);
      for (int i = 0; i < 5; ++i) co_await ticker.tick();
    }(period));
    home.run();
    EXPECT_TRUE(home.status().ok());
    EXPECT_LE(home.now(), 10);
  }
  ManualHome home;
  home.start([]() -> Task<> {
    Ticker never(absl::InfiniteDuration());
    co_await never.tick();
  }());
  home.ask_stop();
  home.run();
  EXPECT_TRUE(absl::IsCancelled(home.status()));
}

// Before the begin of the clock.
TEST(Sleep, UntilTheEarliestTimeOnARuntimesClock) {
  Runtime runtime;
  EXPECT_TRUE(runtime.run([]() -> Task<> { co_await sleep_until(Instant::min()); }).ok());
}

TEST(Ticker, OnARuntimesClock) {
  IdleKernel kernel;
  Runtime runtime({.dispatch = Dispatch::poll_thread, .kernel = &kernel});
  const Job job = runtime.spawn([]() -> Task<> {
    Ticker ticker(absl::Minutes(1));
    for (int i = 0; i < 5; ++i) co_await ticker.tick();
  });
  for (int i = 0; i < 5; ++i) {
    settle(kernel, runtime);
    EXPECT_EQ(job.status(), std::nullopt);
    kernel.advance(absl::Minutes(1));
  }
  EXPECT_TRUE(job.wait().ok());
}

}  // namespace
}  // namespace epore
