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
#include "tests/runtime/task/scenarios.h"

namespace epore {
namespace {

using scenarios::give;
using scenarios::give_later;
using scenarios::kLong;
using scenarios::Scenario;

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

INSTANTIATE_TEST_SUITE_P(All, StopTest, testing::ValuesIn(scenarios::kAll), scenarios::name_of);

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
