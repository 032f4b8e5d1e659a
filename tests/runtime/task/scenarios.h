#ifndef EPORE_TESTS_RUNTIME_TASK_SCENARIOS_H_
#define EPORE_TESTS_RUNTIME_TASK_SCENARIOS_H_

#include <functional>
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

// Tasks that use all of the language. Whatever fails in them, they must end and leak nothing.
namespace epore::scenarios {

inline constexpr absl::Duration kShort = absl::Milliseconds(1);
inline constexpr absl::Duration kLong = absl::Hours(1);

inline Task<Counted> give(int value) { co_return Counted(value); }

inline Task<Counted> give_later(int value) {
  Counted local(value);
  co_await sleep_for(kShort);
  co_await yield();
  co_return local;
}

inline Task<Counted> nested(int depth, Counted by) {
  if (depth == 0) co_return co_await give_later(0);
  Counted local(1);
  const Counted below = co_await nested(depth - 1, by);
  co_await yield();
  co_return Counted(below + by);
}

inline Task<> fails_later(Counted) {
  co_await sleep_for(kShort);
  co_await absl::NotFoundError("no");
}

inline Task<> calls() {
  Counted local;
  EXPECT_EQ(co_await nested(20, Counted(2)), 40);
  co_await sleep_for(2 * kShort);
  EXPECT_EQ(co_await give(3), 3);
}

inline Task<> limits() {
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
  (void)co_await within(absl::ZeroDuration(), sleep_for(kShort)).result();
  co_await yield();
}

inline Task<> shields() {
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

inline Task<> alls() {
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

inline Task<> anys() {
  Counted local;
  auto first = co_await any(sleep_for(kLong), give_later(3), nested(30, Counted(2)));
  EXPECT_NE(first.index(), 0u);  // the third one, where there is no memory for the second
  auto other = co_await any(fails_later(Counted()), all(yield(), give_later(2)));
  EXPECT_EQ(other.index(), 1u);
  const absl::Status none =
      (co_await any(fails_later(Counted()), within(kShort, sleep_for(kLong))).result()).status();
  EXPECT_FALSE(none.ok());
  auto at_once = co_await any(sleep_for(kLong), give(9));
  EXPECT_LT(at_once.index(), 2u);
}

inline Task<> spawns(Group& group, int depth) {
  Counted local;
  co_await yield();
  if (depth == 0) co_return;
  for (int i = 0; i < 2; ++i) group.spawn(spawns, std::ref(group), depth - 1);
  co_await sleep_for(kShort);
}

inline Task<> groups() {
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

inline Task<> ticks() {
  Counted local;
  Ticker ticker(kShort);
  for (int i = 0; i < 3; ++i) co_await ticker.tick();
  for (int i = 0; i < 3; ++i) co_await any(ticker.tick(), yield());
}

inline Task<> ready_ones() {
  Counted local;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(co_await give(i), i);
}

inline Task<> everything() {
  co_await all(calls(), limits(), shields(), alls(), anys(), groups(), ticks(), ready_ones());
}

struct Scenario {
  const char* name;
  Task<> (*task)();
};

inline const Scenario kAll[] = {
    {"Calls", calls},
    {"Limits", limits},
    {"Shields", shields},
    {"Alls", alls},
    {"Anys", anys},
    {"Groups", groups},
    {"Ticks", ticks},
    {"ReadyOnes", ready_ones},
    {"Everything", everything},
};

inline std::string name_of(const testing::TestParamInfo<Scenario>& info) { return info.param.name; }

}  // namespace epore::scenarios

#endif  // EPORE_TESTS_RUNTIME_TASK_SCENARIOS_H_
