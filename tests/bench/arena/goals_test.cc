#include "tests/bench/arena/goals.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/example_result.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/micro_cases.h"

namespace epore::bench {
namespace {

// The first goal that begins so; it must be there.
Goal find(const std::vector<Goal>& all, std::string_view begin) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Goal& goal) {
    return std::string_view(goal.text).substr(0, begin.size()) == begin;
  });
  EXPECT_NE(found, all.end()) << begin;
  return found == all.end() ? Goal() : *found;
}

TEST(GoalsTest, AreMeansOverConnectionsAndSayWhetherTheyAreMet) {
  ArenaResult result = example_result();
  const std::vector<Goal> all = goals(result);
  ASSERT_EQ(all.size(), 5u);
  EXPECT_NEAR(all[0].value, 1.02, 1e-9);
  EXPECT_TRUE(all[0].is_met());
  EXPECT_GT(all[0].interval.confidence, 0.9);
  EXPECT_NEAR(all[1].value, 1.02 / 1.1, 1e-9);
  EXPECT_FALSE(all[2].is_met());
  EXPECT_NEAR(all[3].value, 1.25, 1e-9);
  EXPECT_FALSE(all[4].is_met());
  // Without what it takes, nothing is claimed.
  result.trials.erase(result.trials.begin() + 1);
  EXPECT_EQ(goals(result).size(), 2u);
  result.contenders[1].skipped = "not here";
  EXPECT_TRUE(goals(result).empty());
}

TEST(GoalsTest, TheBestOfAsiosConfigurationsIsWhatCounts) {
  ArenaResult result = example_result();
  result.contenders[4].spec = ContenderSpec::parse("asio:partial_reads").value();
  result.trials[1] = example_trial("echo/50x64x1", {100, 103, 110, 120, 100});
  result.trials[2] = example_trial("echo/500x64x1", {100, 101, 100, 120, 110});
  const Goal one = find(goals(result), "echo, CPU per message x Asio's best with one thread");
  EXPECT_NEAR(one.value, 1.02, 1e-9);
  EXPECT_FALSE(one.is_met());
  // Its flag gives it several threads, so it is another group's.
  result.contenders[4].spec = ContenderSpec::parse("asio:threads=2:partial_reads").value();
  const Goal threads = find(goals(result), "echo, CPU per message x Asio's best with several");
  EXPECT_NEAR(threads.value, (103.0 / 100 + 101.0 / 110) / 2, 1e-9);
}

TEST(GoalsTest, WorkersAreComparedWithTheFloorByNumberOfConnections) {
  ArenaResult result = example_result();
  result.contenders[4].spec = ContenderSpec::parse("epore:dispatch=workers").value();
  result.trials[2] = example_trial("echo/500x64x1", {100, 101, 110, 95, 131});
  const std::vector<Goal> all = goals(result);
  const Goal fifty = find(all, "epore:dispatch=workers: echo, CPU per message x epoll, 50 ");
  EXPECT_NEAR(fifty.value, 1.30, 1e-9);
  EXPECT_GT(fifty.interval.confidence, 0.9);
  EXPECT_FALSE(find(all, "epore:dispatch=workers: echo, CPU per message x epoll, 500 ").is_met());
}

TEST(GoalsTest, ACoroutineIsComparedWithCallbacksByNumberOfConnections) {
  ArenaResult result = example_result();
  result.contenders[4].spec = ContenderSpec::parse("epore:handler=coroutine").value();
  result.trials[1] = example_trial("echo/50x64x1", {100, 100, 110, 95, 104});
  result.trials[2] = example_trial("echo/500x64x1", {100, 100, 110, 95, 106});
  const std::vector<Goal> all = goals(result);
  EXPECT_TRUE(find(all, "epore:handler=coroutine: echo, CPU per message x epore, 50 ").is_met());
  EXPECT_FALSE(find(all, "epore:handler=coroutine: echo, CPU per message x epore, 500 ").is_met());
}

TEST(GoalsTest, ARoomCostsLittleMoreThanWithOneThread) {
  ArenaResult result = example_result();
  result.contenders[4].spec = ContenderSpec::parse("epore:dispatch=poll_thread").value();
  result.trials.push_back(example_trial("room/1000x1", {0, 115, 0, 0, 100}));
  result.trials.push_back(example_trial("room/1000x100", {0, 116, 0, 0, 100}));
  const std::vector<Goal> all = goals(result);
  EXPECT_TRUE(find(all, "room/1000x1,").is_met());
  EXPECT_FALSE(find(all, "room/1000x100,").is_met());
}

TEST(GoalsTest, AllCoresAreWantedForHandlersThatNeedThem) {
  ArenaResult result = example_result();
  result.trials.push_back(example_trial("cpu/one_core", {0, 100, 100, 100, 0}));
  result.trials.push_back(example_trial("cpu/all_cores", {0, 50, 100, 100, 0}));
  const Goal goal = find(goals(result), "CPU-heavy handlers");
  EXPECT_EQ(goal.bound, Goal::Bound::at_least);
  EXPECT_NEAR(goal.value, 2, 1e-9);
  EXPECT_TRUE(goal.is_met());
}

TEST(GoalsTest, IdleConnectionsCostLittleMemoryAndNoWakeup) {
  ArenaResult result = example_result();
  result.idle.resize(result.contenders.size());
  result.idle[1].bytes_per_connection = 512;
  result.idle[1].wakeups_per_minute = 1;
  EXPECT_TRUE(find(goals(result), "an idle connection").is_met());
  EXPECT_FALSE(find(goals(result), "idle connections").is_met());
  result.idle[1].absence.why = "it was not there";
  EXPECT_EQ(goals(result).size(), 5u);
}

TEST(GoalsTest, EachOperationWithALimitIsOne) {
  ArenaResult result = example_result();
  const std::vector<double> ours(9, 30), theirs(9, 100);
  const MicroCost our_cost = {.wall_ns = ours, .cpu_ns = ours};
  const MicroCost their_cost = {.wall_ns = theirs, .cpu_ns = theirs};
  result.micro.names = {"epore", "asio"};
  result.micro.has_heap = true;
  result.micro.rows = {{.name = "post", .limit = 1.0 / 3, .costs = {our_cost, their_cost}},
                       {.name = "re-arm", .limit = 0.2, .costs = {our_cost, their_cost}},
                       {.name = "echo", .limit = 0, .costs = {our_cost, their_cost}}};
  result.micro.rows[2].costs[0].allocations = 1;
  result.micro.memory = {.connections = 10, .bytes = {500, 4000}};
  const std::vector<Goal> all = goals(result);
  EXPECT_EQ(all.size(), 5u + 4u);
  EXPECT_TRUE(find(all, "post: time x asio").is_met());
  EXPECT_FALSE(find(all, "re-arm: time x asio").is_met());
  EXPECT_FALSE(find(all, "allocations").is_met());
  EXPECT_TRUE(find(all, "an idle connection, timeout armed: bytes from malloc()").is_met());
  result.micro.task_memory = {.connections = 10, .bytes = {1025, 4000}};
  EXPECT_FALSE(find(goals(result), "an idle connection, its coroutine's deadline armed").is_met());
}

}  // namespace
}  // namespace epore::bench
