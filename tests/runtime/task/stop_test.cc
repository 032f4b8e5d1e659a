// A task is stopped at each of its suspension points in turn: it ends, once, and leaks nothing.

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/group.h"
#include "epore/runtime/join.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/task.h"
#include "epore/runtime/within.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/counted.h"
#include "tests/runtime/task/manual_home.h"

namespace epore {
namespace {

constexpr absl::Duration kShort = absl::Milliseconds(1);
constexpr absl::Duration kLong = absl::Hours(1);

Task<Counted> give(int value) { co_return Counted(value); }

Task<Counted> give_later(int value) {
  Counted local(value);
  co_await sleep_for(kShort);
  co_await yield();
  co_return local;
}

Task<Counted> nested(int depth, Counted by) {
  if (depth == 0) co_return co_await give_later(0);
  Counted local(1);
  const Counted below = co_await nested(depth - 1, by);
  co_await yield();
  co_return Counted(below + by);
}

Task<> fails_later(Counted) {
  co_await sleep_for(kShort);
  co_await absl::NotFoundError("no");
}

Task<> calls() {
  Counted local;
  EXPECT_EQ(co_await nested(20, Counted(2)), 40);
  co_await sleep_for(2 * kShort);
  EXPECT_EQ(co_await give(3), 3);
}

Task<> limits() {
  Counted local;
  EXPECT_EQ(co_await within(kLong, give_later(1)), 1);
  EXPECT_EQ(co_await within(kLong, within(2 * kLong, nested(3, Counted(1)))), 3);
  const absl::Status late = co_await within(kShort, sleep_for(kLong)).result();
  EXPECT_FALSE(late.ok());
  co_await yield();
  const absl::StatusOr<Counted> first = co_await within(kShort, give_later(7)).result();
  if (first.ok()) {
    EXPECT_EQ(*first, 7);
  }
  co_await within(absl::ZeroDuration(), sleep_for(kShort)).result();
  co_await yield();
}

Task<> shields() {
  Counted local;
  bool was_saved = false;
  const absl::Status worked = co_await sleep_for(kLong).result();
  co_await shield([](bool& was_saved) -> Task<> {
    Counted inside;
    co_await sleep_for(kShort);
    co_await yield();
    was_saved = true;
  }(was_saved));
  EXPECT_TRUE(was_saved);  // it is not reached when the shield was cut off
  const absl::Status log_out = co_await shield(within(kShort, sleep_for(kLong))).result();
  EXPECT_FALSE(log_out.ok());
  co_await worked;
}

Task<> alls() {
  Counted local;
  auto both = co_await all(give_later(1), nested(5, Counted(1)), sleep_for(kShort), give(4));
  EXPECT_EQ(std::get<0>(both) + std::get<1>(both) + std::get<3>(both), 10);
  const absl::Status failed =
      (co_await all(nested(2, Counted(1)), fails_later(Counted()), sleep_for(kLong)).result())
          .status();
  EXPECT_FALSE(failed.ok());
  std::vector<Task<Counted>> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back(i % 2 == 0 ? give_later(i) : give(i));
  const std::vector<Counted> values = co_await within(kLong, all(std::move(tasks)));
  EXPECT_EQ(values.size(), 5u);
}

Task<> anys() {
  Counted local;
  auto first = co_await any(sleep_for(kLong), give_later(3), nested(30, Counted(2)));
  EXPECT_EQ(first.index(), 1u);
  auto other = co_await any(fails_later(Counted()), all(yield(), give_later(2)));
  EXPECT_EQ(other.index(), 1u);
  const absl::Status none =
      (co_await any(fails_later(Counted()), within(kShort, sleep_for(kLong))).result()).status();
  EXPECT_FALSE(none.ok());
  auto at_once = co_await any(sleep_for(kLong), give(9));
  EXPECT_EQ(at_once.index(), 1u);
}

Task<> spawns(Group& group, int depth) {
  Counted local;
  co_await yield();
  if (depth == 0) co_return;
  for (int i = 0; i < 2; ++i) group.spawn(spawns, std::ref(group), depth - 1);
  co_await sleep_for(kShort);
}

Task<> groups() {
  Counted local;
  int sum = 0;
  co_await group([&](Group& group) -> Task<> {
    for (int i = 0; i < 4; ++i) {
      group.spawn([&sum, counted = Counted(1)]() -> Task<> {
        sum += co_await give_later(counted);
        co_await yield();
      });
    }
    group.spawn(spawns, std::ref(group), 3);
    co_await sleep_for(kShort);
  });
  EXPECT_EQ(sum, 4);
  const absl::Status failed = co_await group([&](Group& group) -> Task<> {
                                group.spawn(fails_later, Counted());
                                group.spawn(spawns, std::ref(group), 2);
                                co_await sleep_for(kLong);
                              }).result();
  EXPECT_FALSE(failed.ok());
  co_await group([&](Group& group) -> Task<> {
    group.spawn([]() -> Task<> { co_await sleep_for(kLong); });
    co_await yield();
    group.stop();
    group.stop();
  });
}

Task<> ticks() {
  Counted local;
  Ticker ticker(kShort);
  for (int i = 0; i < 3; ++i) co_await ticker.tick();
  for (int i = 0; i < 3; ++i) co_await any(ticker.tick(), yield());
}

Task<> ready_ones() {
  Counted local;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(co_await give(i), i);
}

Task<> everything() {
  co_await all(calls(), limits(), shields(), alls(), anys(), groups(), ticks(), ready_ones());
}

struct Scenario {
  const char* name;
  Task<> (*task)();
};

// How a scenario may end: an error of its own may have come before the stop.
bool is_expected(const absl::Status& status) {
  return status.ok() || absl::IsCancelled(status) || absl::IsNotFound(status) ||
         absl::IsDeadlineExceeded(status);
}

class StopTest : public testing::TestWithParam<Scenario> {
 protected:
  // Runs the scenario; `at_turn` is called before each turn.
  static absl::Status run(const std::function<void(ManualHome&)>& at_turn, bool completes_here,
                          int* turns = nullptr) {
    const int before = Counted::live();
    absl::Status status;
    {
      ManualHome home;
      home.completes_here = completes_here;
      home.start(GetParam().task());
      while (!home.has_ended()) {
        at_turn(home);
        home.turn();
        if (home.turns() > 100'000) ADD_FAILURE() << "it does not end";
        if (home.turns() > 100'000) std::abort();
      }
      if (turns != nullptr) *turns = home.turns();
      status = home.status();
    }
    EXPECT_EQ(Counted::live(), before);
    return status;
  }
};

TEST_P(StopTest, RunsToTheEnd) {
  for (const bool completes_here : {true, false}) {
    const absl::Status status = run([](ManualHome&) {}, completes_here);
    EXPECT_TRUE(status.ok()) << status;
  }
}

// With `completes_here` off, what has completed waits for the next turn, so the stop comes between.
TEST_P(StopTest, StopAtEachTurn) {
  for (const bool completes_here : {true, false}) {
    int turns = 0;
    (void)run([](ManualHome&) {}, completes_here, &turns);
    for (int k = 0; k <= turns; ++k) {
      const absl::Status status = run(
          [&](ManualHome& home) {
            if (home.turns() == k) home.ask_stop();
          },
          completes_here);
      EXPECT_TRUE(is_expected(status)) << "turn " << k << ": " << status;
    }
  }
}

TEST_P(StopTest, StopTwice) {
  int turns = 0;
  (void)run([](ManualHome&) {}, true, &turns);
  for (int k = 0; k <= turns; ++k) {
    for (const int distance : {0, 1, 2}) {
      (void)run(
          [&](ManualHome& home) {
            if (home.turns() != k && home.turns() != k + distance) return;
            home.ask_stop();
            if (distance == 0) home.stop_now();
          },
          false);
    }
  }
}

TEST_P(StopTest, StopAndCutOffAtEachTurn) {
  int turns = 0;
  (void)run([](ManualHome&) {}, true, &turns);
  for (int k = 0; k <= turns; ++k) {
    for (const int distance : {0, 1, 3}) {
      const absl::Status status = run(
          [&](ManualHome& home) {
            if (home.turns() == k) home.ask_stop();
            if (home.turns() != k + distance) return;
            home.cut_off();
            home.ask_stop();
          },
          true);
      EXPECT_TRUE(is_expected(status)) << "turn " << k << ": " << status;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, StopTest,
                         testing::Values(Scenario{"Calls", calls}, Scenario{"Limits", limits},
                                         Scenario{"Shields", shields}, Scenario{"Alls", alls},
                                         Scenario{"Anys", anys}, Scenario{"Groups", groups},
                                         Scenario{"Ticks", ticks},
                                         Scenario{"ReadyOnes", ready_ones},
                                         Scenario{"Everything", everything}),
                         [](const auto& info) { return std::string(info.param.name); });

// -- Tasks that ignore errors. --

// Turns until the task has ended after a stop and a cut off.
int turns_to_end(Task<> task) {
  ManualHome home;
  home.start(std::move(task));
  for (int i = 0; i < 3; ++i) home.turn();
  home.ask_stop();
  for (int i = 0; i < 3; ++i) home.turn();
  EXPECT_FALSE(home.has_ended());
  home.cut_off();
  home.ask_stop();
  const int before = home.turns();
  while (!home.has_ended()) {
    home.turn();
    if (home.turns() - before > 1000) {
      ADD_FAILURE() << "it does not end";
      std::abort();
    }
  }
  return home.turns() - before;
}

TEST(CutOff, EndsALoopThatIgnoresErrors) {
  EXPECT_LE(turns_to_end([]() -> Task<> {
              for (;;) (void)co_await sleep_for(kLong).result();
            }()),
            3);
}

TEST(CutOff, EndsALoopOfReadyChildren) {
  turns_to_end([]() -> Task<> {
    for (;;) (void)co_await give(1).result();
  }());
}

TEST(CutOff, EndsALoopOfEmptyJoins) {
  turns_to_end([]() -> Task<> {
    for (;;) co_await all();
  }());
  turns_to_end([]() -> Task<> {
    for (;;) (void)co_await all(std::vector<Task<int>>()).result();
  }());
}

TEST(CutOff, EndsALoopOfJoinsWithASuccess) {
  turns_to_end([]() -> Task<> {
    for (;;) (void)co_await any(sleep_for(kLong), give(1)).result();
  }());
}

TEST(CutOff, EndsALoopOfShields) {
  turns_to_end([]() -> Task<> {
    for (;;) (void)co_await shield(sleep_for(kLong)).result();
  }());
  turns_to_end([]() -> Task<> {
    for (;;) (void)co_await shield(all(give_later(1), sleep_for(kLong))).result();
  }());
}

TEST(CutOff, EndsALoopOfGroups) {
  turns_to_end([]() -> Task<> {
    for (;;) {
      (void)co_await group([](Group& group) -> Task<> {
        for (int i = 0; i < 3; ++i) {
          group.spawn([]() -> Task<> {
            for (;;) (void)co_await yield().result();
          });
        }
        co_return;
      }).result();
    }
  }());
}

// -- Stops and what is ready. --

TEST(Stop, EndsALoopThatNeverSuspends) {
  ManualHome home;
  home.start([]() -> Task<> {
    for (;;) (void)co_await give(1);
  }());
  home.turn();
  home.ask_stop();
  home.turn();
  ASSERT_TRUE(home.has_ended());
  EXPECT_TRUE(absl::IsCancelled(home.status())) << home.status();
}

// A value that is there wins.
TEST(Stop, CompletedBeatsCancelled) {
  ManualHome home;
  home.completes_here = false;
  int got = 0;
  home.start([](int& got) -> Task<> {
    Counted value = co_await give_later(5);
    got = value;
    co_await yield();
    got = 6;
  }(got));
  home.turn();  // the sleep is over
  home.turn();  // resumed, yields
  home.ask_stop();
  home.turn();
  EXPECT_TRUE(home.has_ended());
  EXPECT_EQ(got, 5);  // the yield was complete; the next one is not begun
  EXPECT_TRUE(absl::IsCancelled(home.status())) << home.status();
}

TEST(Stop, BeforeTheBegin) {
  ManualHome home;
  home.stop_now();
  bool began = false;
  home.start([](bool& began) -> Task<> {
    began = true;
    co_await yield();
  }(began));
  EXPECT_FALSE(began);
  EXPECT_TRUE(absl::IsCancelled(home.status())) << home.status();
}

TEST(Stop, OfDeepJoinsNeedsNoStack) {
  ManualHome home;
  struct Deep {
    static Task<> join(int depth) {
      if (depth == 0) {
        co_await sleep_for(kLong);
      } else {
        co_await all(join(depth - 1));
      }
    }
  };
  home.start(Deep::join(50'000));
  home.turn();
  home.ask_stop();
  home.run();
  EXPECT_TRUE(absl::IsCancelled(home.status())) << home.status();
}

}  // namespace
}  // namespace epore
