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
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {
namespace {

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
      "(unless all cores are used); medians, intervals of %.0f%%; %s",
      machine.cores, machine.cpu, machine.kernel, machine.compiler, machine.build,
      result.options.rounds, absl::FormatDuration(result.options.round), result.cores.server,
      result.cores.load, 100 * confidence, result.tally().to_string());
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
  return rows.size() > 1 ? rows : Rows();
}

}  // namespace epore::bench
