#include "tests/bench/arena/verdict.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {
namespace {

// Of the interval, for an outcome: five rounds have 94%, four 88%.
constexpr double kConfidence = 0.9;

double median_of(const std::vector<Sample>& samples, const Measure& measure) {
  return quartiles(values(samples, measure.value)).median;
}

using FindBase = absl::FunctionRef<std::optional<std::size_t>(const TrialResult&, const Measure&)>;

std::vector<Comparison> compare(const ArenaResult& result, FindBase find_base) {
  std::vector<Comparison> comparisons;
  const std::optional<std::size_t> ours = find_contender(result, kOurs);
  if (!ours) return comparisons;
  for (const TrialResult& trial : result.trials) {
    if (trial.samples[*ours].empty()) continue;
    for (const Measure* measure : trial.trial.measures) {
      const std::optional<std::size_t> base = find_base(trial, *measure);
      if (!base || trial.samples[*base].empty()) continue;
      comparisons.push_back(
          {.trial = &trial,
           .measure = measure,
           .base = *base,
           .verdict = Verdict::of(trial.samples[*ours], trial.samples[*base], *measure)});
    }
  }
  return comparisons;
}

}  // namespace

std::string_view outcome_text(Outcome outcome) {
  switch (outcome) {
    case Outcome::ahead:
      return "ahead";
    case Outcome::same:
      return "no difference";
    case Outcome::behind:
      return "behind";
    case Outcome::open:
      break;
  }
  return "too few rounds to say";
}

Verdict Verdict::of(const std::vector<Sample>& ours, const std::vector<Sample>& theirs,
                    const Measure& measure) {
  return of_ratios(ratios(ours, theirs, measure.value), measure.more_is_better);
}

Verdict Verdict::of_ratios(std::vector<double> ratios, bool more_is_better) {
  // A rate of zero is what a round gives in which nothing came back in time.
  std::erase_if(ratios, [](double ratio) { return !std::isfinite(ratio); });
  if (ratios.empty()) return {};
  Verdict verdict = {.ratio = quartiles(ratios).median, .interval = median_interval(ratios)};
  if (verdict.interval.confidence < kConfidence) {
    verdict.outcome = Outcome::open;
  } else if (verdict.interval.low > 1) {
    verdict.outcome = more_is_better ? Outcome::ahead : Outcome::behind;
  } else if (verdict.interval.high < 1) {
    verdict.outcome = more_is_better ? Outcome::behind : Outcome::ahead;
  } else {
    verdict.outcome = Outcome::same;
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

const TrialResult* find_trial(const ArenaResult& result, std::string_view id) {
  for (const TrialResult& trial : result.trials) {
    if (trial.trial.id == id) return &trial;
  }
  return nullptr;
}

std::optional<std::size_t> best_of(const ArenaResult& result, const TrialResult& trial,
                                   const Measure& measure,
                                   absl::FunctionRef<bool(const ContenderSpec&)> is_wanted) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    if (!is_wanted(result.contenders[i].spec) || trial.samples[i].empty()) continue;
    const double value = median_of(trial.samples[i], measure);
    const double best_value = best ? median_of(trial.samples[*best], measure) : value;
    if (!best || (measure.more_is_better ? value > best_value : value < best_value)) best = i;
  }
  return best;
}

std::optional<std::size_t> best_asio(const ArenaResult& result, const TrialResult& trial,
                                     const Measure& measure) {
  return best_of(result, trial, measure,
                 [](const ContenderSpec& spec) { return absl::StartsWith(spec.name, "asio"); });
}

std::vector<Comparison> against_asio(const ArenaResult& result) {
  return compare(result, [&](const TrialResult& trial, const Measure& measure) {
    return best_asio(result, trial, measure);
  });
}

std::vector<Comparison> against_floor(const ArenaResult& result) {
  return compare(
      result, [&](const TrialResult&, const Measure&) { return find_contender(result, kFloor); });
}

std::optional<Verdict> scaling(const ArenaResult& result, std::size_t contender) {
  const TrialResult* const one = find_trial(result, "cpu/one_core");
  const TrialResult* const all = find_trial(result, "cpu/all_cores");
  if (one == nullptr || all == nullptr) return std::nullopt;
  if (one->samples[contender].empty() || all->samples[contender].empty()) return std::nullopt;
  return Verdict::of(all->samples[contender], one->samples[contender], kRate);
}

Verdict micro_verdict(const MicroRow& row) {
  const std::vector<double>& ours = row.costs[0].wall_ns;
  const std::vector<double>& theirs = row.costs[1].wall_ns;
  std::vector<double> all;
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    all.push_back(ours[i] / theirs[i]);
  }
  return Verdict::of_ratios(std::move(all), /*more_is_better=*/false);
}

}  // namespace epore::bench
