#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trials.h"
#include "tests/bench/text_table.h"

namespace epore::bench {
namespace {

std::string table(const Rows& rows) {
  if (rows.empty()) return "";
  TextTable table;
  for (const std::vector<std::string>& row : rows) table.add_row(row);
  return absl::StrCat(table.to_string(), "\n");
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
      absl::StrAppend(&text, table(trial_rows(result, trial)));
    }
  }
  absl::StrAppend(&text, "\n", table(scaling_rows(result)), table(idle_rows(result)),
                  table(micro_rows(result)), table(compile_rows(result)), table(size_rows(result)),
                  table(goal_rows(result)), tally(result), "\n\n", table(behind_rows(result)));
  for (const std::string& warning : arena_warnings(result, machine)) {
    absl::StrAppend(&text, "warning: ", warning, "\n");
  }
  absl::StrAppend(&text, "It took ",
                  absl::FormatDuration(absl::Trunc(result.elapsed, absl::Seconds(1))), ".\n");
  return text;
}

}  // namespace epore::bench
