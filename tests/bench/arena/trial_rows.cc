#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/arena/verdict.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {
namespace {

// "0.912 [0.905 0.931]"
std::string ratio_text(const Verdict& verdict) {
  return absl::StrFormat("%.3f [%.3f %.3f]", verdict.ratio, verdict.interval.low,
                         verdict.interval.high);
}

// With "no difference" where that is what it says.
std::string ratio_in_words(const Verdict& verdict) {
  return absl::StrCat(ratio_text(verdict),
                      verdict.outcome == Outcome::same ? ", no difference" : "");
}

std::string with_quartiles(const std::vector<Sample>& samples, const Measure& measure) {
  const Quartiles q = quartiles(values(samples, measure.value));
  return absl::StrCat(format_value(measure, q.median), " [", format_value(measure, q.low), " ",
                      format_value(measure, q.high), "]");
}

// The ratio and what it says; nothing for a comparison that there is not.
void add_comparison(const std::vector<Comparison>& all, const TrialResult& trial,
                    std::vector<std::string>& row) {
  const Measure* const main = trial.trial.measures.front();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Comparison& comparison) {
    return comparison.trial == &trial && comparison.measure == main;
  });
  if (found == all.end()) {
    row.insert(row.end(), {"", ""});
    return;
  }
  row.push_back(ratio_text(found->verdict));
  row.emplace_back(outcome_text(found->verdict.outcome));
}

}  // namespace

std::string format_value(const Measure& measure, double value) {
  return absl::StrFormat("%.*f", measure.digits, value / measure.unit);
}

Rows trial_rows(const ArenaResult& result, const TrialResult& trial) {
  const Measure& main = *trial.trial.measures.front();
  std::vector<std::pair<std::size_t, std::string>> bases;
  const std::optional<std::size_t> floor = find_contender(result, kFloor);
  if (floor && !trial.samples[*floor].empty()) bases.emplace_back(*floor, std::string(kFloor));
  if (const std::optional<std::size_t> asio = best_asio(result, trial, main)) {
    bases.emplace_back(*asio, absl::StrCat("Asio's best, ", result.contenders[*asio].spec.label));
  }
  Rows rows = {{trial.trial.title}};
  for (const Measure* measure : trial.trial.measures) rows[0].emplace_back(measure->title);
  for (const auto& [index, label] : bases) {
    rows[0].push_back(absl::StrCat(main.title, " x ", label));
  }
  for (std::size_t i = 0; i < trial.samples.size(); ++i) {
    if (trial.samples[i].empty()) continue;
    std::vector<std::string>& row = rows.emplace_back();
    row.push_back(result.contenders[i].spec.label);
    for (const Measure* measure : trial.trial.measures) {
      row.push_back(with_quartiles(trial.samples[i], *measure));
    }
    for (const auto& [index, label] : bases) {
      row.push_back(
          index == i ? "1"
                     : ratio_in_words(Verdict::of(trial.samples[i], trial.samples[index], main)));
    }
  }
  return rows;
}

const std::vector<const Measure*>& group_measures(const ArenaResult& result,
                                                  std::string_view group) {
  static const auto& none = *new std::vector<const Measure*>;
  for (const TrialResult& trial : result.trials) {
    if (trial.trial.group == group) return trial.trial.measures;
  }
  return none;
}

Rows group_rows(const ArenaResult& result, std::string_view group, const Measure& measure) {
  Rows rows(1 + result.contenders.size());
  rows[0].push_back(std::string(measure.title));
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    rows[i + 1].push_back(result.contenders[i].spec.label);
  }
  for (const TrialResult& trial : result.trials) {
    if (trial.trial.group != group) continue;
    rows[0].push_back(trial.trial.title);
    for (std::size_t i = 0; i < result.contenders.size(); ++i) {
      const std::vector<Sample>& samples = trial.samples[i];
      rows[i + 1].push_back(
          samples.empty()
              ? "-"
              : format_value(measure, quartiles(values(samples, measure.value)).median));
    }
  }
  // Who took no part is named above all tables.
  std::erase_if(rows, [](const std::vector<std::string>& row) {
    return std::all_of(row.begin() + 1, row.end(), [](const std::string& s) { return s == "-"; });
  });
  return rows;
}

Rows ratio_rows(const ArenaResult& result, std::string_view group) {
  const std::vector<Comparison> floor = against_floor(result);
  const std::vector<Comparison> asio = against_asio(result);
  if (floor.empty() && asio.empty()) return {};
  Rows rows = {{"trial", "measure", "epore x epoll [interval]", "which is",
                "epore x Asio's best [interval]", "which is", "Asio's best"}};
  for (const TrialResult& trial : result.trials) {
    if (trial.trial.group != group) continue;
    const Measure& main = *trial.trial.measures.front();
    std::vector<std::string> row = {trial.trial.title, std::string(main.title)};
    add_comparison(floor, trial, row);
    add_comparison(asio, trial, row);
    const std::optional<std::size_t> best = best_asio(result, trial, main);
    row.push_back(best ? result.contenders[*best].spec.label : "");
    rows.push_back(std::move(row));
  }
  return rows.size() > 1 ? rows : Rows();
}

Rows behind_rows(const ArenaResult& result) {
  Rows rows = {{"trial", "measure", "epore x Asio's best [interval]", "which is"}};
  for (const Comparison& comparison : against_asio(result)) {
    if (comparison.verdict.outcome != Outcome::behind) continue;
    rows.push_back(
        {absl::StrCat(comparison.trial->trial.group, ": ", comparison.trial->trial.title),
         std::string(comparison.measure->title), ratio_text(comparison.verdict),
         result.contenders[comparison.base].spec.label});
  }
  return rows.size() > 1 ? rows : Rows();
}

std::string tally(const ArenaResult& result) {
  int ahead = 0, same = 0, behind = 0, open = 0;
  for (const Comparison& comparison : against_asio(result)) {
    switch (comparison.verdict.outcome) {
      case Outcome::ahead:
        ++ahead;
        break;
      case Outcome::same:
        ++same;
        break;
      case Outcome::behind:
        ++behind;
        break;
      case Outcome::open:
        ++open;
        break;
    }
  }
  if (ahead + same + behind + open == 0) return "";
  return absl::StrCat(
      "Against the best of Boost.Asio's configurations, which differs from trial "
      "to trial and from measure to measure, epore without any flag is ahead in ",
      ahead, " numbers, shows no difference in ", same, ", and is behind in ", behind,
      open > 0 ? absl::StrCat("; ", open, " have too few rounds to say.") : ".");
}

}  // namespace epore::bench
