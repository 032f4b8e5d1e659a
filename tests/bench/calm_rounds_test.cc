#include "tests/bench/calm_rounds.h"

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tests/bench/sample.h"

namespace epore::bench {
namespace {

constexpr Sample kCalm = {.messages = 1, .server_busy = 0.99, .load_busy = 0.8};
constexpr Sample kWaited = {
    .messages = 2, .server_busy = 0.8, .load_busy = 0.7, .load_waited = 0.2};
constexpr Sample kLimited = {.messages = 3, .server_busy = 0.7, .load_busy = 0.99};

TEST(DisturbanceTest, IsALoadThatWaitedOrWasTheLimit) {
  EXPECT_EQ(disturbance(kCalm, {}), Disturbance::none);
  EXPECT_EQ(disturbance(kWaited, {}), Disturbance::load_waited);
  EXPECT_EQ(disturbance(kLimited, {}), Disturbance::load_was_limit);
  // Both at their limit: the server is measured.
  EXPECT_EQ(disturbance({.server_busy = 0.98, .load_busy = 0.99}, {}), Disturbance::none);
}

TEST(DisturbanceTest, IsNoneWhereTheLoadIsAlwaysBusyOrSharesItsCore) {
  EXPECT_EQ(disturbance(kLimited, {.is_closed_loop = false}), Disturbance::none);
  EXPECT_EQ(disturbance(kWaited, {.is_closed_loop = false}), Disturbance::load_waited);
  EXPECT_EQ(disturbance(kWaited, {.has_own_core = false}), Disturbance::none);
}

// Gives what it was told, one after the other.
struct Script {
  std::vector<absl::StatusOr<Sample>> samples;
  mutable std::size_t next = 0;  // a FunctionRef calls what is constant
  absl::StatusOr<Sample> operator()() const { return samples.at(next++); }
};

TEST(CalmRoundsTest, TakesADisturbedRoundAgain) {
  CalmRounds rounds(/*rounds=*/10, {});
  Script script = {{kCalm, kWaited, kCalm, kLimited, kWaited, kCalm}};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rounds.take(script)->messages, kCalm.messages);
  EXPECT_EQ(rounds.tally().taken, 6);
  EXPECT_EQ(rounds.tally().waited, 2);
  EXPECT_EQ(rounds.tally().limited, 1);
  EXPECT_EQ(rounds.tally().kept, 0);
  EXPECT_EQ(rounds.tally().to_string(),
            "6 rounds, of which 3 were discarded and taken again: in 2 the load waited for its "
            "core, in 1 it was the limit");
}

TEST(CalmRoundsTest, KeepsTheLeastDisturbedOfThree) {
  CalmRounds rounds(/*rounds=*/10, {});
  Sample best = kWaited;
  best.load_waited = 0.1;
  best.messages = 7;
  Script script = {{kWaited, best, kWaited, kCalm}};
  EXPECT_EQ(rounds.take(script)->messages, 7u);
  EXPECT_EQ(rounds.tally().taken, 3);
  EXPECT_EQ(rounds.tally().waited, 2);
  EXPECT_EQ(rounds.tally().kept, 1);
}

TEST(CalmRoundsTest, TakesAtMostHalfAsManyAgain) {
  CalmRounds rounds(/*rounds=*/4, {});
  Script script = {std::vector<absl::StatusOr<Sample>>(6, kWaited)};
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(rounds.take(script).ok());
  EXPECT_EQ(rounds.tally().taken, 6);
  EXPECT_EQ(rounds.tally().kept, 4);
}

TEST(CalmRoundsTest, AnErrorIsTheAnswer) {
  CalmRounds rounds(/*rounds=*/4, {});
  Script script = {{kWaited, absl::UnavailableError("gone")}};
  EXPECT_TRUE(absl::IsUnavailable(rounds.take(script).status()));
}

TEST(RoundTallyTest, AddsUp) {
  RoundTally tally = {.taken = 1};
  EXPECT_EQ(tally.to_string(), "1 rounds, none discarded");
  tally.add({.taken = 9, .waited = 1, .limited = 2, .kept = 4});
  EXPECT_EQ(tally.taken, 10);
  EXPECT_EQ(tally.to_string(),
            "10 rounds, of which 3 were discarded and taken again: in 1 the load waited for its "
            "core, in 2 it was the limit; 4 disturbed ones count, as no better ones came");
}

}  // namespace
}  // namespace epore::bench
