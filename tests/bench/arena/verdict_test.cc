#include "tests/bench/arena/verdict.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/example_result.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/sample.h"

namespace epore::bench {
namespace {

TEST(VerdictTest, IsAheadOrBehindOnlyOutsideTheInterval) {
  const std::vector<Sample> base = constant(100);
  EXPECT_EQ(Verdict::of(constant(90), base, kCpu).outcome, Outcome::ahead);
  EXPECT_EQ(Verdict::of(constant(110), base, kCpu).outcome, Outcome::behind);
  EXPECT_EQ(Verdict::of(constant(90), base, kRate).outcome, Outcome::ahead);
  EXPECT_EQ(Verdict::of(constant(110), base, kRate).outcome, Outcome::behind);
  const Verdict mixed = Verdict::of(with_cpu({90, 110, 90, 110, 90, 110, 90, 110, 90}), base, kCpu);
  EXPECT_EQ(mixed.outcome, Outcome::same);
  EXPECT_DOUBLE_EQ(mixed.ratio, 0.9);
}

TEST(VerdictTest, SaysNothingForTooFewRounds) {
  EXPECT_EQ(Verdict::of({}, constant(100), kCpu).outcome, Outcome::open);
  EXPECT_EQ(Verdict::of(with_cpu({90, 90, 90}), constant(100), kCpu).outcome, Outcome::open);
  EXPECT_EQ(Verdict::of(with_cpu({90, 90, 90, 90, 90}), constant(100), kCpu).outcome,
            Outcome::ahead);
  EXPECT_EQ(outcome_text(Outcome::open), "too few rounds to say");
  EXPECT_EQ(outcome_text(Outcome::same), "no difference");
}

// Ratios belong to rounds: a slow minute hits both sides.
TEST(VerdictTest, ComparesRoundByRound) {
  const Verdict verdict = Verdict::of(with_cpu({95, 190, 380, 95, 190, 380, 95}),
                                      with_cpu({100, 200, 400, 100, 200, 400, 100}), kCpu);
  EXPECT_EQ(verdict.outcome, Outcome::ahead);
  EXPECT_NEAR(verdict.ratio, 0.95, 1e-9);
}

TEST(AgainstAsioTest, ComparesWithTheBestOfItsConfigurations) {
  const ArenaResult result = example_result();
  const std::vector<Comparison> comparisons = against_asio(result);
  ASSERT_EQ(comparisons.size(), 8u);
  EXPECT_EQ(comparisons[0].base, 2u);
  EXPECT_EQ(comparisons[0].verdict.outcome, Outcome::ahead);
  EXPECT_EQ(comparisons[4].base, 3u);
  EXPECT_EQ(comparisons[4].verdict.outcome, Outcome::behind);
  EXPECT_EQ(comparisons[5].measure, &kRate);
  EXPECT_EQ(comparisons[5].verdict.outcome, Outcome::behind);
}

TEST(AgainstFloorTest, LeavesOutWhereTheFloorWasNot) {
  const ArenaResult result = example_result();
  const std::vector<Comparison> comparisons = against_floor(result);
  ASSERT_EQ(comparisons.size(), 6u);  // not the neighbour
  EXPECT_EQ(comparisons[0].base, 0u);
  EXPECT_NEAR(comparisons[0].verdict.ratio, 1.02, 1e-9);
  EXPECT_EQ(comparisons[0].verdict.outcome, Outcome::behind);
}

TEST(ScalingTest, IsTheRateOnAllCoresRelativeToOne) {
  ArenaResult result = example_result();
  EXPECT_FALSE(scaling(result, 1).has_value());
  result.trials.push_back(example_trial("cpu/one_core", {0, 100, 100, 100, 0}));
  result.trials.push_back(example_trial("cpu/all_cores", {0, 50, 100, 0, 0}));
  ASSERT_TRUE(scaling(result, 1).has_value());
  EXPECT_NEAR(scaling(result, 1)->ratio, 2, 1e-9);
  EXPECT_EQ(scaling(result, 2)->outcome, Outcome::same);
  EXPECT_FALSE(scaling(result, 3).has_value());
}

TEST(MicroVerdictTest, ComparesTimesRoundByRound) {
  MicroRow row{.name = "post", .limit = 1.0 / 3, .costs = {}};
  row.costs = {{.wall_ns = {1, 2, 3, 1, 2, 3, 1}, .cpu_ns = {}},
               {.wall_ns = {4, 8, 12, 4, 8, 12, 4}, .cpu_ns = {}}};
  EXPECT_DOUBLE_EQ(micro_verdict(row).ratio, 0.25);
  EXPECT_EQ(micro_verdict(row).outcome, Outcome::ahead);
}

}  // namespace
}  // namespace epore::bench
