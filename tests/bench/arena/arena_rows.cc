// What all reports of the arena have in common: rows of text.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/arena/verdict.h"
#include "tests/bench/statistics.h"

namespace epore::bench {
namespace {

std::string ratio_text(const Verdict& verdict) {
  return absl::StrFormat("%.2f [%.2f %.2f]", verdict.ratio, verdict.interval.low,
                         verdict.interval.high);
}

double median_ratio(const std::vector<double>& ours, const std::vector<double>& theirs) {
  std::vector<double> all;
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    if (theirs[i] > 0) all.push_back(ours[i] / theirs[i]);
  }
  return quartiles(all).median;
}

std::string number(double value, int digits) { return absl::StrFormat("%.*f", digits, value); }

// The largest median share of a round that the load spent waiting for a core of its own.
double disturbance(const ArenaResult& result) {
  double worst = 0;
  for (const TrialResult& trial : result.trials) {
    if (trial.trial.cores != Cores::one) continue;
    for (const std::vector<Sample>& samples : trial.samples) {
      worst = std::max(worst, quartiles(values(samples, &Sample::load_waited)).median);
    }
  }
  return worst;
}

}  // namespace

std::string conditions(const ArenaResult& result, const Machine& machine) {
  const double confidence =
      median_interval(std::vector<double>(static_cast<std::size_t>(result.options.rounds)))
          .confidence;
  return absl::StrFormat(
      "%d cores, %s; %s; %s, %s; %d rounds of %s, in turn; server on core %d, load on core %d "
      "(unless all cores are used); medians, intervals of %.0f%%",
      machine.cores, machine.cpu, machine.kernel, machine.compiler, machine.build,
      result.options.rounds, absl::FormatDuration(result.options.round), result.cores.server,
      result.cores.load, 100 * confidence);
}

std::vector<std::string> arena_warnings(const ArenaResult& result, const Machine& machine) {
  std::vector<std::string> warnings;
  if (!machine.is_optimised) {
    warnings.push_back(absl::StrCat("this build is ", machine.build,
                                    "; for numbers that mean something: bazel run -c opt"));
  }
  if (result.cores.is_shared()) {
    warnings.emplace_back("only one core may be used: server and load share it");
  }
  constexpr double kQuiet = 0.03;
  if (const double waited = disturbance(result); !result.cores.is_shared() && waited > kQuiet) {
    warnings.push_back(absl::StrFormat(
        "the machine was busy with something else: the load waited up to %.0f%% of the time for "
        "its core; only CPU ratios mean something",
        100 * waited));
  }
  for (const Contender& contender : result.contenders) {
    if (!contender.has_failed) continue;
    warnings.push_back(absl::StrCat(contender.spec.label, " failed to start: ", contender.skipped));
  }
  for (const TrialResult& trial : result.trials) {
    for (std::size_t i = 0; i < trial.absences.size(); ++i) {
      if (!trial.absences[i].is_failure || result.contenders[i].has_failed) continue;
      warnings.push_back(absl::StrCat(result.contenders[i].spec.label, " failed in ",
                                      trial.trial.id, ": ", trial.absences[i].why));
    }
  }
  for (std::size_t i = 0; i < result.idle.size(); ++i) {
    if (!result.idle[i].absence.is_failure || result.contenders[i].has_failed) continue;
    warnings.push_back(absl::StrCat(result.contenders[i].spec.label, " failed with idle ",
                                    "connections: ", result.idle[i].absence.why));
  }
  warnings.insert(warnings.end(), result.notes.begin(), result.notes.end());
  return warnings;
}

Rows contender_rows(const ArenaResult& result) {
  Rows rows = {{"contender", "version"}};
  for (const Contender& contender : result.contenders) {
    const std::string_view why = contender.has_failed ? "failed: " : "skipped: ";
    rows.push_back({contender.spec.label, contender.skipped.empty()
                                              ? contender.version
                                              : absl::StrCat(why, contender.skipped)});
  }
  return rows;
}

std::string format_value(const Measure& measure, double value) {
  return number(value / measure.unit, measure.digits);
}

Rows goal_rows(const ArenaResult& result) {
  Rows rows = {{"goal", "measured", "at most", ""}};
  for (const Goal& goal : goals(result)) {
    rows.push_back({goal.text, number(goal.value, 3), number(goal.limit, 2),
                    goal.is_met() ? "met" : "not met"});
  }
  return rows.size() > 1 ? rows : Rows();
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

Rows idle_rows(const ArenaResult& result) {
  if (result.idle.empty()) return {};
  Rows rows = {{absl::StrCat(result.options.idle_connections, " idle connections"),
                "bytes for each", "wakeups a minute"}};
  for (std::size_t i = 0; i < result.idle.size(); ++i) {
    const IdleCost& cost = result.idle[i];
    if (!cost.absence.why.empty()) continue;
    rows.push_back({result.contenders[i].spec.label, number(cost.bytes_per_connection, 0),
                    number(cost.wakeups_per_minute, 0)});
  }
  return rows;
}

Rows micro_rows(const ArenaResult& result) {
  const MicroResult& micro = result.micro;
  if (micro.rows.empty()) return {};
  const bool has_other = micro.names.size() > 1;
  Rows rows = {{"ns for one"}};
  for (const std::string& name : micro.names) {
    rows[0].insert(rows[0].end(), {name, "allocations"});
  }
  if (has_other) rows[0].emplace_back("time x asio");
  for (const MicroRow& row : micro.rows) {
    std::vector<std::string>& cells = rows.emplace_back();
    cells.push_back(row.name);
    for (const MicroCost& cost : row.costs) {
      cells.push_back(number(quartiles(cost.wall_ns).median, 0));
      cells.push_back(micro.has_heap ? number(cost.allocations, 3) : "?");
    }
    if (has_other) {
      cells.push_back(number(median_ratio(row.costs[0].wall_ns, row.costs[1].wall_ns), 2));
    }
  }
  if (micro.has_heap && !micro.memory.bytes.empty()) {
    std::vector<std::string>& cells = rows.emplace_back();
    cells.emplace_back("bytes of an idle connection, timeout armed");
    for (const double bytes : micro.memory.bytes) {
      cells.insert(cells.end(), {number(bytes, 0), ""});
    }
    if (has_other) cells.push_back(number(micro.memory.bytes[0] / micro.memory.bytes[1], 2));
  }
  return rows;
}

Rows compile_rows(const ArenaResult& result) {
  if (result.compile.empty()) return {};
  Rows rows = {{"CPU seconds of g++", "epore", "Boost.Asio", "ratio"}};
  for (const CompilePair& pair : result.compile) {
    const bool has_asio = !pair.asio.empty();
    rows.push_back({pair.name, number(quartiles(pair.epore).median, 2),
                    has_asio ? number(quartiles(pair.asio).median, 2) : "no Boost",
                    has_asio ? number(median_ratio(pair.epore, pair.asio), 2) : ""});
  }
  return rows;
}

Rows size_rows(const ArenaResult& result) {
  if (result.sizes.empty()) return {};
  Rows rows = {{"program", "KiB of code and data"}};
  for (const ProgramSize& size : result.sizes) {
    rows.push_back({size.name, absl::StrCat(size.loaded_bytes / 1024)});
  }
  return rows;
}

Rows behind_rows(const ArenaResult& result) {
  Rows rows = {{"trial", "measure", "epore x Asio's best [interval]", "which is"}};
  for (const Comparison& comparison : against_asio(result)) {
    if (comparison.verdict.outcome != Outcome::behind) continue;
    rows.push_back(
        {absl::StrCat(comparison.trial->trial.group, ": ", comparison.trial->trial.title),
         std::string(comparison.measure->title), ratio_text(comparison.verdict),
         result.contenders[comparison.asio].spec.label});
  }
  return rows.size() > 1 ? rows : Rows();
}

std::string tally(const ArenaResult& result) {
  int ahead = 0, same = 0, behind = 0;
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
    }
  }
  if (ahead + same + behind == 0) return "";
  return absl::StrCat(
      "Against the best of Boost.Asio's configurations, which differs from trial "
      "to trial and from measure to measure, epore without any flag is ahead in ",
      ahead, " numbers, shows no difference in ", same, ", and is behind in ", behind, ".");
}

}  // namespace epore::bench
