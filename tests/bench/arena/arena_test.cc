#include <signal.h>

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/arena/arena_plan.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trials.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/machine.h"

namespace epore::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Rounds too short to measure anything: whether each trial works with each server, and whether the
// reports say everything.
ArenaOptions tiny(const std::string& contenders) {
  ArenaOptions options;
  options.contenders = parse_contenders(contenders).value();
  options.trials = make_trials(/*quick=*/true);
  options.rounds = 2;
  options.round = absl::Milliseconds(5);
  options.idle_connections = 100;
  options.idle_window = absl::Milliseconds(10);
  options.micro_rounds = 1;
  options.micro_scale = 0.001;
  options.compile_rounds = 0;
  return options;
}

TEST(TrialsTest, AreNamedOnceAndBelongToGroups) {
  for (const bool quick : {false, true}) {
    std::set<std::string> ids;
    for (const Trial& trial : make_trials(quick)) {
      EXPECT_TRUE(ids.insert(trial.id).second) << trial.id;
      EXPECT_FALSE(trial.measures.empty()) << trial.id;
      EXPECT_TRUE(std::any_of(trial_groups().begin(), trial_groups().end(),
                              [&](const TrialGroup& group) { return group.name == trial.group; }))
          << trial.id;
    }
  }
}

TEST(TrialsTest, AllTrialsHoldWhatTheGoalsNeed) {
  for (const bool quick : {false, true}) {
    const std::vector<Trial> trials = make_trials(quick);
    for (const char* id : {"echo/1x64x1", "echo/50x64x1", "echo/500x64x1", "neighbour/50",
                           "cpu/one_core", "cpu/all_cores"}) {
      EXPECT_TRUE(std::any_of(trials.begin(), trials.end(), [&](const Trial& trial) {
        return trial.id == id;
      })) << id;
    }
  }
}

TEST(PlanTest, AllOfItTakesAtMostHalfAnHourAndQuickTwoMinutes) {
  EXPECT_LE(expected_time(plan_arena(/*is_quick=*/false)), absl::Minutes(30));
  EXPECT_LE(expected_time(plan_arena(/*is_quick=*/true)), absl::Minutes(2));
}

TEST(PlanTest, HasTheContendersThatTheGoalsNeed) {
  std::set<std::string> labels;
  for (const ContenderSpec& spec : plan_arena(/*is_quick=*/false).contenders) {
    EXPECT_TRUE(labels.insert(spec.label).second) << spec.label;
  }
  for (const char* label : {"epore", "epoll", "asio", "epore:dispatch=workers"}) {
    EXPECT_EQ(labels.count(label), 1u) << label;
  }
}

TEST(TrialsTest, LeavesOutWhatWouldFillTheMemory) {
  std::set<std::string> ids;
  for (const Trial& trial : make_trials(/*quick=*/false)) ids.insert(trial.id);
  EXPECT_EQ(ids.count("echo/2000x65536x1"), 1u);
  EXPECT_EQ(ids.count("echo/50x65536x16"), 1u);
  EXPECT_EQ(ids.count("echo/500x65536x16"), 0u);
  EXPECT_EQ(ids.count("echo/2000x65536x16"), 0u);
}

TEST(ArenaTest, EveryoneDoesEverythingAndTheReportsSayWhat) {
  double last = 0;
  const auto result = run_arena(tiny("epoll,epore,epore:dispatch=workers,asio"),
                                [&](std::string_view what, double done) {
                                  EXPECT_GE(done, last - 1e-9) << what;
                                  EXPECT_LE(done, 1);
                                  last = done;
                                });
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->trials.size(), result->options.trials.size());
  for (const TrialResult& trial : result->trials) {
    for (std::size_t i = 0; i < trial.samples.size(); ++i) {
      const std::string& label = result->contenders[i].spec.label;
      if (!result->contenders[i].skipped.empty()) continue;
      EXPECT_EQ(trial.absences[i].why, "") << label << ", " << trial.trial.id;
      ASSERT_EQ(trial.samples[i].size(), 2u) << label << ", " << trial.trial.id;
      EXPECT_GT(trial.samples[i][0].messages, 0u) << label << ", " << trial.trial.id;
    }
  }
  EXPECT_FALSE(result->has_failures());
  EXPECT_EQ(result->idle.size(), 4u);
  EXPECT_FALSE(result->micro.rows.empty());
  EXPECT_EQ(result->sizes.size(), 3u);
  for (const ProgramSize& size : result->sizes) EXPECT_GT(size.loaded_bytes, 10'000u) << size.name;

  const Machine machine = Machine::here();
  for (const std::string& page : {arena_text(*result, machine), arena_json(*result, machine),
                                  arena_markdown(*result, machine), arena_html(*result, machine)}) {
    for (const char* word : {"epore:dispatch=workers", "echo_epoll", "neighbour", "wakeups"}) {
      EXPECT_THAT(page, HasSubstr(word));
    }
    EXPECT_THAT(page, Not(HasSubstr("nan")));
  }
}

TEST(ArenaTest, WhoCannotRunIsLeftOutAndWhoFailsIsNamed) {
  ArenaOptions options = tiny("epoll,epore");
  options.idle_connections = 0;
  options.micro_rounds = 0;
  options.trials.resize(2);
  // One server cannot do it, and is back for the next.
  options.trials[0].run = [run = options.trials[0].run](
                              const EchoServer& server,
                              absl::Duration round) -> absl::StatusOr<Sample> {
    if (server.label() == "epore") return absl::UnavailableError("it said no");
    return run(server, round);
  };
  const auto result = run_arena(options, [](std::string_view, double) {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->has_failures());
  EXPECT_THAT(result->trials[0].absences[1].why, HasSubstr("it said no"));
  EXPECT_TRUE(result->trials[0].samples[1].empty());
  EXPECT_EQ(result->trials[0].samples[0].size(), 2u);
  EXPECT_EQ(result->trials[1].samples[1].size(), 2u);
  EXPECT_THAT(arena_text(*result, Machine::here()), HasSubstr("epore failed in echo/1x64x1"));
}

TEST(ArenaTest, WhoFailsToStartFailsInItsTrialsAndTheOthersGoOn) {
  ArenaOptions options = tiny("epoll,epore:nothing=1,epore:dispatch=nobody");
  options.micro_rounds = 0;
  options.trials.resize(2);
  const auto result = run_arena(options, [](std::string_view, double) {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->has_failures());
  for (const TrialResult& trial : result->trials) {
    EXPECT_EQ(trial.samples[0].size(), 2u);
    EXPECT_FALSE(trial.absences[0].is_failure);
    for (const std::size_t i : {1u, 2u}) {
      EXPECT_TRUE(trial.samples[i].empty());
      EXPECT_TRUE(trial.absences[i].is_failure);
      EXPECT_THAT(trial.absences[i].why, HasSubstr("exit code"));
    }
  }
  EXPECT_TRUE(result->idle[1].absence.is_failure);
  const Machine machine = Machine::here();
  EXPECT_THAT(arena_text(*result, machine), HasSubstr("epore:nothing=1 failed to start: "));
  EXPECT_THAT(arena_markdown(*result, machine), HasSubstr("| epore:nothing=1 | failed: "));
}

// One that is killed between its last round and the end.
TEST(ArenaTest, WhoDoesNotEndAsItShouldCostsNoNumbers) {
  ArenaOptions options = tiny("epoll,epore");
  options.idle_connections = 0;
  options.micro_rounds = 0;
  options.rounds = 1;
  options.trials.resize(1);
  options.trials[0].cores = Cores::all;  // where no round is taken again
  options.trials[0].run = [run = options.trials[0].run](
                              const EchoServer& server,
                              absl::Duration round) -> absl::StatusOr<Sample> {
    absl::StatusOr<Sample> sample = run(server, round);
    if (server.label() == "epoll") ::kill(server.pid(), SIGKILL);
    return sample;
  };
  const auto result = run_arena(options, [](std::string_view, double) {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->has_failures());
  for (const std::vector<Sample>& samples : result->trials[0].samples) {
    EXPECT_EQ(samples.size(), 1u);
  }
  ASSERT_EQ(result->notes.size(), 1u);
  EXPECT_THAT(result->notes[0], HasSubstr("server epoll: was killed by signal 9"));
  EXPECT_THAT(arena_text(*result, Machine::here()), HasSubstr("warning: did not end as it should"));
}

TEST(ArenaTest, NothingToDoIsAnError) {
  ArenaOptions options = tiny("epoll");
  options.rounds = 0;
  EXPECT_TRUE(
      absl::IsInvalidArgument(run_arena(options, [](std::string_view, double) {}).status()));
}

}  // namespace
}  // namespace epore::bench
