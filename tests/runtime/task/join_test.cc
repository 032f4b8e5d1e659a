#include "epore/runtime/join.h"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/group.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/task.h"
#include "epore/runtime/until.h"
#include "epore/runtime/within.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/counted.h"
#include "tests/runtime/task/manual_home.h"

namespace epore {
namespace {

constexpr absl::Duration kMs = absl::Milliseconds(1);
constexpr absl::Duration kNow = absl::ZeroDuration();

absl::Status run(Task<> task, std::int64_t* time = nullptr) {
  const int before = Counted::live();
  absl::Status status;
  {
    ManualHome home;
    home.start(std::move(task));
    home.run();
    if (time != nullptr) *time = home.now() / 1'000'000;
    status = home.status();
  }
  EXPECT_EQ(Counted::live(), before);
  return status;
}

// A child that gives `number` at `time`; at once for kNow.
Task<int> number_at(absl::Duration time, int number) {
  Counted local;
  if (time != kNow) co_await sleep_for(time);
  co_return number;
}
Task<int> fail_at(absl::Duration time, std::string text) {
  Counted local;
  if (time != kNow) co_await sleep_for(time);
  co_return absl::NotFoundError(text);
}
Task<int> throw_at(absl::Duration time) {
  Counted local;
  if (time != kNow) co_await sleep_for(time);
  throw std::runtime_error("thrown");
}
// What it awaits is stopped, which it tells, and it ends well.
Task<int> note_stop(absl::Status& stop) {
  Counted local;
  stop = co_await sleep_for(absl::InfiniteDuration()).result();
  co_return 0;
}

TEST(All, GivesTheValues) {
  std::int64_t time = 0;
  EXPECT_TRUE(run(
                  []() -> Task<> {
                    auto [one, nothing, two, text] =
                        co_await all(number_at(kMs, 1), sleep_for(kMs * 3), number_at(kNow, 2),
                                     []() -> Task<std::unique_ptr<int>> {
                                       co_return std::make_unique<int>(4);
                                     }());
                    static_assert(std::is_same_v<decltype(nothing), std::monostate>);
                    EXPECT_EQ(one, 1);
                    EXPECT_EQ(two, 2);
                    EXPECT_EQ(*text, 4);
                    co_await all(sleep_for(kMs), yield());
                    co_await all();
                  }(),
                  &time)
                  .ok());
  EXPECT_EQ(time, 4);
}

TEST(All, TheFirstErrorStopsTheOthersAndIsTheResult) {
  for (const absl::Duration first : {kNow, kMs}) {
    std::int64_t time = 0;
    absl::Status stop;
    const absl::Status got = run(
        [](absl::Duration first, absl::Status& stop) -> Task<> {
          (void)co_await all(note_stop(stop), fail_at(first, "first"), fail_at(kMs * 2, "second"),
                             number_at(kMs * 9, 1));
        }(first, stop),
        &time);
    EXPECT_EQ(got, absl::NotFoundError("first"));
    EXPECT_EQ(time, first / kMs);
    EXPECT_TRUE(absl::IsCancelled(stop)) << stop;
  }
}

TEST(All, BeginsNothingBehindAnError) {
  bool began = false;
  const absl::Status got = run([](bool& began) -> Task<> {
    (void)co_await all(fail_at(kNow, "at once"), [](bool& began) -> Task<> {
      began = true;
      co_return;
    }(began));
  }(began));
  EXPECT_EQ(got, absl::NotFoundError("at once"));
  EXPECT_FALSE(began);
}

TEST(All, WaitsForAChildThatGoesOn) {
  std::int64_t time = 0;
  const absl::Status got = run(
      []() -> Task<> { (void)co_await all(shield(number_at(kMs * 8, 1)), fail_at(kMs, "no")); }(),
      &time);
  EXPECT_EQ(got, absl::NotFoundError("no"));
  EXPECT_EQ(time, 8);
}

TEST(All, Exceptions) {
  for (const absl::Duration time : {kNow, kMs}) {
    const absl::Status got = run([](absl::Duration time) -> Task<> {
      (void)co_await all(number_at(kMs * 3, 1), throw_at(time));
    }(time));
    EXPECT_TRUE(absl::IsInternal(got)) << got;
  }
}

TEST(All, OfAVector) {
  EXPECT_TRUE(run([]() -> Task<> {
                std::vector<Task<int>> tasks;
                for (int i = 0; i < 100; ++i) tasks.push_back(number_at(kMs * (i * 37 % 5), i));
                const std::vector<int> values = co_await all(std::move(tasks));
                EXPECT_EQ(values.size(), 100u);
                for (int i = 0; i < 100; ++i) EXPECT_EQ(values[i], i);
                const std::vector<int> none = co_await all(std::vector<Task<int>>());
                EXPECT_TRUE(none.empty());
                std::vector<Task<>> voids;
                voids.push_back([]() -> Task<> { co_await yield(); }());
                co_await all(std::move(voids));
              }())
                  .ok());
  const absl::Status got = run([]() -> Task<> {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 10; ++i) {
      tasks.push_back(i == 5 ? fail_at(kMs * 2, "fifth") : number_at(kMs * i, i));
    }
    (void)co_await all(std::move(tasks));
  }());
  EXPECT_EQ(got, absl::NotFoundError("fifth"));
}

TEST(Any, OfAVector) {
  std::int64_t time = 0;
  EXPECT_TRUE(run(
                  []() -> Task<> {
                    std::vector<Task<int>> tasks;
                    for (int i = 0; i < 9; ++i) {
                      tasks.push_back(i == 4 ? fail_at(kMs, "early") : number_at(kMs * (9 - i), i));
                    }
                    const auto [which, value] = co_await any(std::move(tasks));
                    EXPECT_EQ(which, 8u);
                    EXPECT_EQ(value, 8);
                    std::vector<Task<>> voids;
                    for (int i = 3; i > 0; --i) {
                      voids.push_back([](int i) -> Task<> { co_await sleep_for(kMs * i); }(i));
                    }
                    EXPECT_EQ(co_await any(std::move(voids)), 2u);
                    std::vector<Task<int>> at_once;  // those behind the first do not begin
                    at_once.push_back([]() -> Task<int> { co_return 7; }());
                    at_once.push_back(number_at(kMs * 100, 1));
                    EXPECT_EQ(co_await any(std::move(at_once)), std::pair(std::size_t{0}, 7));
                  }(),
                  &time)
                  .ok());
  EXPECT_EQ(time, 2);
  const absl::Status failed = run([]() -> Task<> {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(fail_at(kMs * (3 - i), absl::StrCat(i)));
    (void)co_await any(std::move(tasks));
  }());
  EXPECT_EQ(failed, absl::NotFoundError("2"));
  const absl::Status none = run([]() -> Task<> { (void)co_await any(std::vector<Task<int>>()); }());
  EXPECT_EQ(none, absl::InvalidArgumentError("any(): the vector has no task"));
}

TEST(All, OfManyTasks) {
  EXPECT_TRUE(run([]() -> Task<> {
                std::vector<Task<int>> tasks;
                for (int i = 0; i < 10'000; ++i) tasks.push_back(number_at(kMs * (i % 7), 1));
                int sum = 0;
                for (const int one : co_await all(std::move(tasks))) sum += one;
                EXPECT_EQ(sum, 10'000);
              }())
                  .ok());
}

TEST(All, Nested) {
  std::int64_t time = 0;
  const absl::Status got = run(
      []() -> Task<> {
        (void)co_await all(all(number_at(kMs * 9, 1), all(number_at(kMs * 9, 1), yield())),
                           any(number_at(kMs * 9, 2), sleep_for(kMs * 8)), fail_at(kMs * 2, "no"));
      }(),
      &time);
  EXPECT_EQ(got, absl::NotFoundError("no"));
  EXPECT_EQ(time, 2);
}

TEST(Any, TheFirstValueStopsTheOthers) {
  for (const absl::Duration first : {kNow, kMs}) {
    std::int64_t time = 0;
    absl::Status stop;
    EXPECT_TRUE(run(
                    [](absl::Duration first, absl::Status& stop) -> Task<> {
                      auto got = co_await any(note_stop(stop), sleep_for(kMs * 9),
                                              number_at(first, 7), fail_at(kMs * 5, "late"));
                      EXPECT_EQ(got.index(), 2u);
                      EXPECT_EQ(std::get<2>(got), 7);
                    }(first, stop),
                    &time)
                    .ok());
    EXPECT_EQ(time, first / kMs);
    EXPECT_TRUE(absl::IsCancelled(stop)) << stop;
  }
}

TEST(Any, AnErrorIsNoSuccess) {
  EXPECT_TRUE(run([]() -> Task<> {
                auto got = co_await any(fail_at(kNow, "a"), throw_at(kMs), number_at(kMs * 2, 3));
                EXPECT_EQ(std::get<2>(got), 3);
              }())
                  .ok());
}

TEST(Any, WithoutAValueTheFirstErrorIsTheResult) {
  std::int64_t time = 0;
  const absl::Status got = run(
      []() -> Task<> {
        (void)co_await any(fail_at(kMs * 2, "second"), fail_at(kMs, "first"), throw_at(kMs * 3));
      }(),
      &time);
  EXPECT_EQ(got, absl::NotFoundError("first"));
  EXPECT_EQ(time, 3);
}

TEST(Any, WaitsForAChildThatGoesOn) {
  std::int64_t time = 0;
  EXPECT_TRUE(run(
                  []() -> Task<> {
                    auto got = co_await any(shield(number_at(kMs * 8, 1)), number_at(kMs, 2));
                    EXPECT_EQ(got.index(), 1u);
                  }(),
                  &time)
                  .ok());
  EXPECT_EQ(time, 8);
}

// What the loser has got is not taken.
TEST(Any, TakesOnlyTheWinner) {
  EXPECT_TRUE(run([]() -> Task<> {
                Ticker one(kMs);
                Ticker two(kMs);
                auto first = co_await any(one.tick(), two.tick());
                const bool one_won = first.index() == 0;
                co_await (one_won ? two : one).tick();  // of the same time
              }())
                  .ok());
}

TEST(Any, OfVoids) {
  EXPECT_TRUE(run([]() -> Task<> {
                auto got = co_await any(sleep_for(kMs * 2), sleep_for(kMs));
                static_assert(
                    std::is_same_v<decltype(got), std::variant<std::monostate, std::monostate>>);
                EXPECT_EQ(got.index(), 1u);
              }())
                  .ok());
}

TEST(Joins, InADeadline) {
  std::int64_t time = 0;
  const absl::Status got = run(
      []() -> Task<> {
        const absl::Status all_late =
            (co_await within(kMs * 2, all(sleep_for(kMs * 9), number_at(kMs, 1))).result())
                .status();
        EXPECT_TRUE(absl::IsDeadlineExceeded(all_late)) << all_late;
        (void)co_await within(kMs * 2, any(sleep_for(kMs * 9), number_at(kMs * 8, 1)));
      }(),
      &time);
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
  EXPECT_EQ(time, 4);
}

TEST(Joins, ADeadlineOfOneChildIsItsOwn) {
  EXPECT_TRUE(run([]() -> Task<> {
                auto got = co_await any(within(kMs, sleep_for(kMs * 9)), number_at(kMs * 3, 2));
                EXPECT_EQ(got.index(), 1u);
              }())
                  .ok());
}

// -- Named ones. --

absl::Status status_of(const absl::Status& status) { return status; }
template <typename T>
absl::Status status_of(const absl::StatusOr<T>& value) {
  return value.status();
}

// Two coroutines await `named`, which does not complete at once. The second one is refused, and the
// first one does not notice.
template <typename Named>
void expect_one_awaits(Named named, const std::string& name) {
  SCOPED_TRACE(name);
  const auto first = [&]() -> Task<> {
    const absl::Status status = status_of(co_await named.result());
    EXPECT_TRUE(status.ok()) << status;
  };
  const auto expect_refused = [&name](const absl::Status& status) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), name + ": it is awaited already")) << status;
  };
  const auto second = [&]() -> Task<> {
    expect_refused(status_of(co_await named.result()));
    expect_refused(co_await [](Named& named) -> Task<> { co_await named; }(named).result());
    expect_refused(status_of(
        co_await within(kMs * 99, [](Named& named) -> Task<> { co_await named; }(named)).result()));
  };
  EXPECT_TRUE(run([](auto& first, auto& second) -> Task<> { co_await all(first(), second()); }(
                                                    first, second))
                  .ok());
}

TEST(Joins, OneCoroutineAwaitsOneThatHasAName) {
  expect_one_awaits(all(number_at(kMs, 1), number_at(kMs * 2, 2)), "all");
  expect_one_awaits(any(number_at(kMs, 1), number_at(kMs * 2, 2)), "any");
  std::vector<Task<int>> tasks;
  tasks.push_back(number_at(kMs, 1));
  expect_one_awaits(all(std::move(tasks)), "all");
  EXPECT_TRUE(tasks.empty());
  tasks.push_back(number_at(kMs, 1));
  expect_one_awaits(any(std::move(tasks)), "any");
  EXPECT_TRUE(tasks.empty());
  const auto body = [](Group& group) -> Task<> {
    group.spawn([]() -> Task<> { co_await sleep_for(kMs); });
    co_await sleep_for(kMs * 2);
    group.spawn([]() -> Task<> { co_await sleep_for(kMs); });
  };
  expect_one_awaits(group(body), "group");
  expect_one_awaits(until(std::stop_token(), number_at(kMs, 1)), "until");
  expect_one_awaits(within(kMs * 5, number_at(kMs, 1)), "within");
  expect_one_awaits(within(kMs * 5, within(kMs * 4, number_at(kMs, 1))), "within");
  expect_one_awaits(at(Instant() + std::chrono::hours(1), number_at(kMs, 1)), "at");
  expect_one_awaits(shield(within(kMs * 5, number_at(kMs, 1))), "shield");
}

// It ends the coroutine that awaits it without result(), and is free again then.
TEST(Joins, ALimitThatHasEndedItsCoroutineIsAwaitedAgain) {
  const auto await_once = [](auto& named) -> Task<> { co_await named; };
  const auto test = [&]() -> Task<> {
    auto limited = within(kMs, sleep_for(kMs * 100));
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(co_await await_once(limited).result())) << i;
    }
    EXPECT_TRUE(absl::IsDeadlineExceeded(co_await limited.result()));
    auto inner = shield(within(kMs, sleep_for(kMs * 100)));
    EXPECT_TRUE(absl::IsDeadlineExceeded(co_await await_once(inner).result()));
    EXPECT_TRUE(absl::IsDeadlineExceeded(co_await inner.result()));
    // A stop from outside ends it before its time, and the chain of all() is gone then.
    auto stopped = within(absl::Seconds(50), sleep_for(absl::Seconds(100)));
    const auto fails = []() -> Task<> { co_await absl::AbortedError("fails"); };
    EXPECT_TRUE(absl::IsAborted(co_await all(await_once(stopped), fails()).result()));
    EXPECT_TRUE(absl::IsAborted(co_await all(await_once(stopped), fails()).result()));
  };
  EXPECT_TRUE(run(test()).ok());
}

TEST(Joins, AnAnyThatWasMovedKnowsNoWinner) {
  const auto test = []() -> Task<> {
    auto first = any(number_at(kNow, 1), number_at(kMs, 2));
    EXPECT_EQ((co_await first).index(), 0u);
    EXPECT_EQ((co_await within(kMs * 9, std::move(first))).index(), 1u);  // the other has not begun
  };
  EXPECT_TRUE(run(test()).ok());
}

TEST(Joins, OneThatHasANameIsAwaitedOnce) {
  const auto twice = [](auto named) -> Task<> {
    const absl::Status once = status_of(co_await named.result());
    EXPECT_TRUE(once.ok()) << once;
    const absl::Status again = status_of(co_await named.result());
    EXPECT_TRUE(absl::IsFailedPrecondition(again)) << again;
  };
  EXPECT_TRUE(run(twice(all(number_at(kNow, 1), number_at(kMs, 2)))).ok());
  EXPECT_TRUE(run(twice(all(number_at(kNow, 1), number_at(kNow, 2)))).ok());
  EXPECT_TRUE(run(twice(any(number_at(kMs, 1), number_at(kMs * 2, 2)))).ok());
  EXPECT_TRUE(run(twice(until(std::stop_token(), number_at(kMs, 1)))).ok());
  const auto body = [](Group&) -> Task<> { co_await sleep_for(kMs); };
  EXPECT_TRUE(run(twice(group(body))).ok());
}

}  // namespace
}  // namespace epore
