#include "tests/bench/arena/verdict.h"

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {
namespace {

constexpr std::string_view kOurs = "epore";

double median_of(const std::vector<Sample>& samples, const Measure& measure) {
  return quartiles(values(samples, measure.value)).median;
}

const TrialResult* find_trial(const ArenaResult& result, std::string_view id) {
  for (const TrialResult& trial : result.trials) {
    if (trial.trial.id == id) return &trial;
  }
  return nullptr;
}

// The mean over 1, 50 and 500 connections of the CPU per small message, relative to `base`.
void add_echo_goal(const ArenaResult& result, std::string_view base, double limit,
                   std::vector<Goal>& goals) {
  const std::optional<std::size_t> ours = find_contender(result, kOurs);
  const std::optional<std::size_t> theirs = find_contender(result, base);
  if (!ours || !theirs) return;
  double sum = 0;
  for (const int connections : {1, 50, 500}) {
    const TrialResult* trial = find_trial(result, absl::StrCat("echo/", connections, "x64x1"));
    if (trial == nullptr || trial->samples[*ours].empty() || trial->samples[*theirs].empty()) {
      return;
    }
    sum += Verdict::of(trial->samples[*ours], trial->samples[*theirs], kCpu).ratio;
  }
  goals.push_back({.text = absl::StrCat("echo, CPU per message x ", base,
                                        ", mean over 1, 50 and 500 connections"),
                   .value = sum / 3,
                   .limit = limit});
}

// Asio with as many threads as there are cores, wherever it is given.
std::optional<std::size_t> find_asio_threads(const ArenaResult& result) {
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    if (absl::StartsWith(result.contenders[i].spec.label, "asio:threads=")) return i;
  }
  return std::nullopt;
}

}  // namespace

Verdict Verdict::of(const std::vector<Sample>& ours, const std::vector<Sample>& theirs,
                    const Measure& measure) {
  std::vector<double> all = ratios(ours, theirs, measure.value);
  // A rate of zero is what a round gives in which nothing came back in time.
  std::erase_if(all, [](double ratio) { return !std::isfinite(ratio); });
  if (all.empty()) return {};
  Verdict verdict = {.ratio = quartiles(all).median, .interval = median_interval(all)};
  if (verdict.interval.low > 1) {
    verdict.outcome = measure.more_is_better ? Outcome::ahead : Outcome::behind;
  } else if (verdict.interval.high < 1) {
    verdict.outcome = measure.more_is_better ? Outcome::behind : Outcome::ahead;
  }
  return verdict;
}

std::optional<std::size_t> find_contender(const ArenaResult& result, std::string_view label) {
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    const Contender& contender = result.contenders[i];
    if (contender.spec.label == label && contender.skipped.empty()) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> best_asio(const ArenaResult& result, const TrialResult& trial,
                                     const Measure& measure) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    if (!absl::StartsWith(result.contenders[i].spec.name, "asio") || trial.samples[i].empty()) {
      continue;
    }
    const double value = median_of(trial.samples[i], measure);
    const double best_value = best ? median_of(trial.samples[*best], measure) : value;
    if (!best || (measure.more_is_better ? value > best_value : value < best_value)) best = i;
  }
  return best;
}

std::vector<Comparison> against_asio(const ArenaResult& result) {
  std::vector<Comparison> comparisons;
  const std::optional<std::size_t> ours = find_contender(result, kOurs);
  if (!ours) return comparisons;
  for (const TrialResult& trial : result.trials) {
    if (trial.samples[*ours].empty()) continue;
    for (const Measure* measure : trial.trial.measures) {
      const std::optional<std::size_t> asio = best_asio(result, trial, *measure);
      if (!asio) continue;
      comparisons.push_back(
          {.trial = &trial,
           .measure = measure,
           .asio = *asio,
           .verdict = Verdict::of(trial.samples[*ours], trial.samples[*asio], *measure)});
    }
  }
  return comparisons;
}

std::vector<Goal> goals(const ArenaResult& result) {
  std::vector<Goal> goals;
  add_echo_goal(result, "epoll", 1.03, goals);
  add_echo_goal(result, "asio", 0.95, goals);
  const std::optional<std::size_t> threads = find_asio_threads(result);
  if (!threads) return goals;
  const std::string label = result.contenders[*threads].spec.label;
  add_echo_goal(result, label, 0.85, goals);
  const std::optional<std::size_t> ours = find_contender(result, kOurs);
  const TrialResult* trial = find_trial(result, "neighbour/50");
  if (!ours || trial == nullptr || trial->samples[*ours].empty() ||
      trial->samples[*threads].empty()) {
    return goals;
  }
  const std::vector<Sample>& mine = trial->samples[*ours];
  const std::vector<Sample>& asio = trial->samples[*threads];
  goals.push_back({.text = absl::StrCat("beside a slow neighbour: p99 x ", label),
                   .value = Verdict::of(mine, asio, kP99).ratio,
                   .limit = 1});
  goals.push_back({.text = absl::StrCat("beside a slow neighbour: ", label, "'s rate x epore's"),
                   .value = Verdict::of(asio, mine, kRate).ratio,
                   .limit = 1});
  return goals;
}

}  // namespace epore::bench
