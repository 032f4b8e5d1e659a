#include "epore/runtime/within.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "epore/runtime/async_event.h"
#include "epore/runtime/job.h"
#include "epore/runtime/join.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/task.h"
#include "gtest/gtest.h"
#include "tests/runtime/settle.h"
#include "tests/runtime/task/manual_home.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/idle_kernel.h"

namespace epore {
namespace {

constexpr absl::Duration kMs = absl::Milliseconds(1);

std::int64_t ms(std::int64_t nanoseconds) { return nanoseconds / 1'000'000; }

// Runs a task to its end. Returns its status; `time`: when it ended.
absl::Status run(Task<> task, std::int64_t* time = nullptr) {
  ManualHome home;
  home.start(std::move(task));
  home.run();
  if (time != nullptr) *time = ms(home.now());
  return home.status();
}

Task<int> number_after(absl::Duration time, int number) {
  co_await sleep_for(time);
  co_return number;
}

TEST(Within, GivesTheValue) {
  std::int64_t time = 0;
  EXPECT_TRUE(run(
                  []() -> Task<> {
                    EXPECT_EQ(co_await within(kMs * 5, number_after(kMs, 3)), 3);
                    EXPECT_EQ(co_await within(absl::InfiniteDuration(), number_after(kMs, 4)), 4);
                  }(),
                  &time)
                  .ok());
  EXPECT_EQ(time, 2);
}

TEST(Within, ResultInsideIsTheSameAsOutside) {
  std::int64_t time = 0;
  const absl::Status got = run(
      []() -> Task<> {
        absl::StatusOr<int> late = co_await within(kMs * 5, number_after(kMs * 10, 3).result());
        EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
        absl::StatusOr<int> in_time =
            co_await within(kMs * 9, within(kMs * 5, number_after(kMs, 4).result()));
        EXPECT_EQ(in_time.value_or(0), 4);
        absl::Status slept = co_await shield(within(kMs, sleep_for(kMs * 2).result()));
        EXPECT_TRUE(absl::IsDeadlineExceeded(slept)) << slept;
        auto sleep = sleep_for(kMs * 2);
        slept = co_await within(kMs, std::move(sleep).result());
        EXPECT_TRUE(absl::IsDeadlineExceeded(slept)) << slept;
      }(),
      &time);
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_EQ(time, 8);
}

TEST(Within, EndsWithDeadlineExceeded) {
  std::int64_t time = 0;
  const absl::Status got =
      run([]() -> Task<> { co_await within(kMs * 5, number_after(kMs * 10, 3)); }(), &time);
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
  EXPECT_TRUE(absl::StrContains(got.message(), "within(5ms)")) << got;
  EXPECT_TRUE(absl::StrContains(got.message(), "sleep")) << got;
  EXPECT_EQ(time, 5);
}

TEST(Within, OfSeveralTheEarliestHolds) {
  std::int64_t time = 0;
  absl::Status got = run(
      []() -> Task<> {
        co_await within(kMs * 5, within(kMs * 3, within(kMs * 9, number_after(kMs * 20, 1))));
      }(),
      &time);
  EXPECT_TRUE(absl::StrContains(got.message(), "within(3ms)")) << got;
  EXPECT_EQ(time, 3);
  got = run(
      []() -> Task<> {
        co_await within(kMs * 2, []() -> Task<> {
          const absl::Status inner = co_await within(kMs * 4, sleep_for(kMs * 20)).result();
          EXPECT_TRUE(absl::StrContains(inner.message(), "within(2ms)")) << inner;
          co_await within(kMs * 4, sleep_for(kMs * 20));  // it is over for this one as well
          ADD_FAILURE();
        }());
      }(),
      &time);
  EXPECT_TRUE(absl::StrContains(got.message(), "within(2ms)")) << got;
  EXPECT_EQ(time, 2);
}

TEST(Within, TheInnerEndsOnlyItself) {
  std::int64_t time = 0;
  EXPECT_TRUE(run(
                  []() -> Task<> {
                    co_await within(kMs * 10, []() -> Task<> {
                      const absl::Status inner =
                          co_await within(kMs * 4, sleep_for(kMs * 20)).result();
                      EXPECT_TRUE(absl::IsDeadlineExceeded(inner)) << inner;
                      co_await sleep_for(kMs * 5);
                    }());
                    co_await sleep_for(kMs * 20);  // no deadline any more
                  }(),
                  &time)
                  .ok());
  EXPECT_EQ(time, 29);
}

Task<> wait_for_ever_within(absl::Duration limit) {
  co_await within(limit, sleep_for(absl::InfiniteDuration()));
}

TEST(Within, ItsErrorSaysHowLongItWas) {
  const std::pair<absl::Duration, std::string> limits[] = {
      {absl::ZeroDuration(), "within(0)"},
      {absl::Nanoseconds(1), "within(1ns)"},
      {kMs * 5, "within(5ms)"},
      {absl::Nanoseconds(4'294'967'295), "within(4.294967295s)"},
      {absl::Milliseconds(61'500), "within(1m1.5s)"},
      {absl::Hours(24 * 365), "within(8760h)"},
  };
  for (const auto& [limit, text] : limits) {
    const absl::Status late = run(wait_for_ever_within(limit));
    EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
    EXPECT_TRUE(absl::StartsWith(late.message(), text + ": the time is over")) << late;
  }
}

TEST(Within, ZeroAndLess) {
  for (const absl::Duration none :
       {absl::ZeroDuration(), absl::Seconds(-1), -absl::InfiniteDuration()}) {
    const absl::Status got =
        run([](absl::Duration none) -> Task<> { co_await within(none, sleep_for(kMs)); }(none));
    EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
  }
}

TEST(Within, NothingBeginsWhenTheTimeIsOver) {
  bool began = false;
  const absl::Status got = run([](bool& began) -> Task<> {
    co_await within(absl::ZeroDuration(), [](bool& began) -> Task<> {
      began = true;
      co_return;
    }(began));
  }(began));
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
  EXPECT_FALSE(began);
}

// A task that goes on after its time gives its value all the same.
TEST(Within, AValueInSpiteOfTheDeadline) {
  std::int64_t time = 0;
  EXPECT_TRUE(run(
                  []() -> Task<> {
                    const int got = co_await within(kMs, []() -> Task<int> {
                      (void)co_await sleep_for(kMs * 50).result();
                      (void)co_await sleep_for(kMs * 50).result();
                      co_return 5;
                    }());
                    EXPECT_EQ(got, 5);
                  }(),
                  &time)
                  .ok());
  EXPECT_EQ(time, 1);
}

TEST(Within, EndsALoopThatNeverSuspends) {
  ManualHome home;
  home.start([]() -> Task<> {
    co_await within(kMs, []() -> Task<> {
      for (;;) co_await []() -> Task<> { co_return; }();
    }());
  }());
  for (int i = 0; i < 10; ++i) home.turn();
  EXPECT_FALSE(home.has_ended());
  EXPECT_GE(home.posts(), 10);  // it lets others run
  home.advance(kMs);
  home.turn();
  ASSERT_TRUE(home.has_ended());
  EXPECT_TRUE(absl::IsDeadlineExceeded(home.status())) << home.status();
}

TEST(At, TheEarlierHolds) {
  std::int64_t time = 0;
  const absl::Status got = run(
      []() -> Task<> {
        const Instant three = Instant(std::chrono::milliseconds(3));
        co_await at(three, within(kMs * 5, sleep_for(kMs * 20)));
      }(),
      &time);
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
  EXPECT_EQ(time, 3);
}

TEST(At, TheEndsOfTheClock) {
  EXPECT_TRUE(run([]() -> Task<> { co_await at(Instant::max(), sleep_for(kMs)); }()).ok());
  const absl::Status past = run([]() -> Task<> { co_await at(Instant::min(), sleep_for(kMs)); }());
  EXPECT_TRUE(absl::IsDeadlineExceeded(past)) << past;
  const absl::Status zero = run([]() -> Task<> { co_await at(Instant(), sleep_for(kMs)); }());
  EXPECT_TRUE(absl::IsDeadlineExceeded(zero)) << zero;
}

TEST(Shield, KeepsDeadlinesAndStopsAway) {
  std::int64_t time = 0;
  absl::Status got = run(
      []() -> Task<> {
        co_await within(kMs, []() -> Task<> {
          co_await shield(sleep_for(kMs * 7));
          co_await sleep_for(kMs);
        }());
      }(),
      &time);
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
  EXPECT_EQ(time, 7);

  ManualHome home;
  int at = 0;
  home.start([](int& at) -> Task<> {
    co_await shield([](int& at) -> Task<> {
      co_await all(sleep_for(kMs), within(kMs * 3, sleep_for(kMs * 2)));
      at = 1;
    }(at));
    at = 2;
    co_await yield();
    at = 3;
  }(at));
  home.ask_stop();
  home.run();
  EXPECT_TRUE(absl::IsCancelled(home.status())) << home.status();
  EXPECT_EQ(at, 2);
}

TEST(Shield, ADeadlineInsideHolds) {
  std::int64_t time = 0;
  const absl::Status got = run(
      []() -> Task<> { co_await shield(within(kMs * 2, sleep_for(absl::InfiniteDuration()))); }(),
      &time);
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
  EXPECT_EQ(time, 2);
}

// A within() that has a name, and is awaited by a coroutine that ends before it.
TEST(Within, MayOutliveItsWait) {
  std::int64_t time = 0;
  EXPECT_TRUE(run(
                  []() -> Task<> {
                    auto limited = within(kMs * 5, []() -> Task<> {
                      co_await sleep_for(kMs);
                      co_await absl::NotFoundError("no");
                    }());
                    const absl::Status got = co_await
                        [](auto& limited) -> Task<> { co_await limited; }(limited).result();
                    EXPECT_TRUE(absl::IsNotFound(got)) << got;
                    co_await sleep_for(kMs * 10);
                  }(),
                  &time)
                  .ok());
  EXPECT_EQ(time, 11);
}

// A within() that has a name and is awaited again counts from then on.
TEST(Within, CountsAnew) {
  std::int64_t time = 0;
  EXPECT_TRUE(run(
                  []() -> Task<> {
                    auto limited = within(kMs * 5, sleep_for(absl::InfiniteDuration()));
                    for (int i = 0; i < 3; ++i) {
                      const absl::Status got = co_await limited.result();
                      EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
                      co_await sleep_for(kMs);
                    }
                  }(),
                  &time)
                  .ok());
  EXPECT_EQ(time, 18);
}

TEST(Within, OnARuntimesClock) {
  IdleKernel kernel;
  Runtime runtime({.dispatch = Dispatch::poll_thread, .kernel = &kernel});
  const Job job = runtime.spawn([]() -> Task<> {
    co_await within(absl::Hours(2), within(absl::Hours(1), sleep_for(absl::Hours(3))));
  });
  settle(kernel, runtime);
  kernel.advance(absl::Minutes(59));
  settle(kernel, runtime);
  EXPECT_EQ(job.status(), std::nullopt);
  kernel.advance(absl::Minutes(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(job.wait())) << job.wait();
}

// The timer of the task is left alone while deadlines come and go, so it fires too early.
TEST(Within, ALaterDeadlineThanTheTimers) {
  IdleKernel kernel;
  Runtime runtime({.dispatch = Dispatch::poll_thread, .kernel = &kernel});
  const Job job = runtime.spawn([]() -> Task<> {
    co_await within(absl::Hours(1), yield());
    co_await within(absl::Hours(3), sleep_for(absl::Hours(5)));
  });
  for (int hour = 0; hour < 3; ++hour) {
    settle(kernel, runtime);
    EXPECT_EQ(job.status(), std::nullopt) << hour;
    kernel.advance(absl::Hours(1));
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(job.wait())) << job.wait();
}

// A limit that is due is judged in the turns behind. What it limits may end before that, in any of
// them, and the task goes on to wait for another time.
TEST(Within, ASleepBehindALimitThatIsBeingJudgedEnds) {
  for (int turns = 0; turns < 6; ++turns) {
    ClockKernel clock;
    Runtime runtime({.dispatch = Dispatch::caller, .kernel = &clock});
    const auto run_turns = [&runtime](int count) {
      for (int i = 0; i < count; ++i) ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
    };
    AsyncEvent event;
    const Job job = runtime.spawn(
        [](AsyncEvent& event) -> Task<> {
          (void)co_await within(kMs * 5, event.wait()).result();
          co_await sleep_for(kMs * 10);
        },
        std::ref(event));
    run_turns(9);
    clock.advance(kMs * 5);
    run_turns(turns);
    event.set();
    run_turns(9);
    EXPECT_FALSE(job.status().has_value()) << turns;
    clock.advance(kMs * 10);
    run_turns(9);
    EXPECT_TRUE(job.status().has_value()) << turns;
  }
}

}  // namespace
}  // namespace epore
