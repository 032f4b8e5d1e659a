#include "tests/bench/arena/verdict.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/sample.h"

namespace epore::bench {
namespace {

std::vector<Sample> with_cpu(const std::vector<double>& cpu) {
  std::vector<Sample> samples;
  for (const double ns : cpu) {
    samples.push_back({.messages = 1, .rate = 1e9 / ns, .p99_us = ns / 10, .cpu_ns = ns});
  }
  return samples;
}

std::vector<Sample> constant(double cpu) { return with_cpu(std::vector<double>(9, cpu)); }

TEST(VerdictTest, IsAheadOrBehindOnlyOutsideTheInterval) {
  const std::vector<Sample> base = constant(100);
  EXPECT_EQ(Verdict::of(constant(90), base, kCpu).outcome, Outcome::ahead);
  EXPECT_EQ(Verdict::of(constant(110), base, kCpu).outcome, Outcome::behind);
  EXPECT_EQ(Verdict::of(constant(90), base, kRate).outcome, Outcome::ahead);
  EXPECT_EQ(Verdict::of(constant(110), base, kRate).outcome, Outcome::behind);
  const Verdict mixed = Verdict::of(with_cpu({90, 110, 90, 110, 90, 110, 90, 110, 90}), base, kCpu);
  EXPECT_EQ(mixed.outcome, Outcome::same);
  EXPECT_DOUBLE_EQ(mixed.ratio, 0.9);
  EXPECT_EQ(Verdict::of({}, base, kCpu).outcome, Outcome::same);
}

// Ratios belong to rounds: a slow minute hits both sides.
TEST(VerdictTest, ComparesRoundByRound) {
  const Verdict verdict = Verdict::of(with_cpu({95, 190, 380, 95, 190, 380, 95}),
                                      with_cpu({100, 200, 400, 100, 200, 400, 100}), kCpu);
  EXPECT_EQ(verdict.outcome, Outcome::ahead);
  EXPECT_NEAR(verdict.ratio, 0.95, 1e-9);
}

TrialResult trial(const std::string& id, const std::vector<double>& cpus) {
  TrialResult result;
  result.trial.id = id;
  result.trial.group = id.substr(0, id.find('/'));
  result.trial.measures = {&kCpu, &kRate};
  for (const double cpu : cpus) {
    result.samples.push_back(cpu > 0 ? constant(cpu) : std::vector<Sample>());
    result.absences.push_back({.why = cpu > 0 ? "" : "absent"});
  }
  return result;
}

ArenaResult example() {
  ArenaResult result;
  const auto specs = parse_contenders("epoll,epore,asio,asio:threads=2,asio_uring").value();
  for (const ContenderSpec& spec : specs) {
    result.contenders.push_back({.spec = spec, .version = "1", .skipped = {}});
  }
  result.trials = {trial("echo/1x64x1", {100, 102, 110, 120, 0}),
                   trial("echo/50x64x1", {100, 103, 110, 120, 130}),
                   trial("echo/500x64x1", {100, 101, 110, 95, 0}),
                   trial("neighbour/50", {0, 50, 60, 40, 0})};
  return result;
}

TEST(AgainstAsioTest, ComparesWithTheBestOfItsConfigurations) {
  const ArenaResult result = example();
  const std::vector<Comparison> comparisons = against_asio(result);
  ASSERT_EQ(comparisons.size(), 8u);
  EXPECT_EQ(comparisons[0].asio, 2u);
  EXPECT_EQ(comparisons[0].verdict.outcome, Outcome::ahead);
  EXPECT_EQ(comparisons[4].asio, 3u);
  EXPECT_EQ(comparisons[4].verdict.outcome, Outcome::behind);
  EXPECT_EQ(comparisons[5].measure, &kRate);
  EXPECT_EQ(comparisons[5].verdict.outcome, Outcome::behind);
}

TEST(GoalsTest, AreMeansOverConnectionsAndSayWhetherTheyAreMet) {
  ArenaResult result = example();
  const std::vector<Goal> all = goals(result);
  ASSERT_EQ(all.size(), 5u);
  EXPECT_NEAR(all[0].value, 1.02, 1e-9);
  EXPECT_TRUE(all[0].is_met());
  EXPECT_NEAR(all[1].value, 1.02 / 1.1, 1e-9);
  EXPECT_FALSE(all[2].is_met());
  EXPECT_NEAR(all[3].value, 1.25, 1e-9);
  EXPECT_FALSE(all[4].is_met());
  // Without what it takes, nothing is claimed.
  result.trials.erase(result.trials.begin());
  EXPECT_EQ(goals(result).size(), 2u);
  result.contenders[1].skipped = "not here";
  EXPECT_TRUE(goals(result).empty());
  EXPECT_TRUE(against_asio(result).empty());
}

}  // namespace
}  // namespace epore::bench
