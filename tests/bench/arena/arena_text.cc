#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trials.h"
#include "tests/bench/arena/verdict.h"
#include "tests/bench/statistics.h"
#include "tests/bench/text_table.h"

namespace epore::bench {
namespace {

std::string table(const Rows& rows) {
  if (rows.empty()) return "";
  TextTable table;
  for (const std::vector<std::string>& row : rows) table.add_row(row);
  return absl::StrCat(table.to_string(), "\n");
}

std::string with_quartiles(const std::vector<Sample>& samples, const Measure& measure) {
  const Quartiles q = quartiles(values(samples, measure.value));
  return absl::StrCat(format_value(measure, q.median), " [", format_value(measure, q.low), " ",
                      format_value(measure, q.high), "]");
}

// Medians with quartiles, and what the trial is about in relation to the floor and to Asio.
std::string trial_table(const ArenaResult& result, const TrialResult& trial) {
  std::vector<std::pair<std::size_t, std::string>> bases;
  for (const char* label : {"epoll", "asio"}) {
    const std::optional<std::size_t> base = find_contender(result, label);
    if (base && !trial.samples[*base].empty()) bases.emplace_back(*base, label);
  }
  const Measure& main = *trial.trial.measures.front();
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
      const Verdict verdict = Verdict::of(trial.samples[i], trial.samples[index], main);
      row.push_back(absl::StrFormat("%.3f [%.3f %.3f]", verdict.ratio, verdict.interval.low,
                                    verdict.interval.high));
    }
  }
  return table(rows);
}

}  // namespace

std::string arena_text(const ArenaResult& result, const Machine& machine) {
  std::string text = conditions(result, machine) + "\n\n";
  absl::StrAppend(&text, table(contender_rows(result)));
  for (const TrialGroup& group : trial_groups()) {
    bool is_first = true;
    for (const TrialResult& trial : result.trials) {
      if (trial.trial.group != group.name) continue;
      if (std::exchange(is_first, false)) {
        absl::StrAppend(&text, "\n== ", group.title, " ==\n", group.text, "\n\n");
      }
      absl::StrAppend(&text, trial_table(result, trial));
    }
  }
  absl::StrAppend(&text, "\n", table(idle_rows(result)), table(micro_rows(result)),
                  table(compile_rows(result)), table(size_rows(result)), table(goal_rows(result)),
                  tally(result), "\n\n", table(behind_rows(result)));
  for (const std::string& warning : arena_warnings(result, machine)) {
    absl::StrAppend(&text, "warning: ", warning, "\n");
  }
  absl::StrAppend(&text, "It took ",
                  absl::FormatDuration(absl::Trunc(result.elapsed, absl::Seconds(1))), ".\n");
  return text;
}

}  // namespace epore::bench
