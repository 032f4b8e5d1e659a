#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trials.h"

namespace epore::bench {
namespace {

std::string table(const Rows& rows) {
  if (rows.empty()) return "";
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    absl::StrAppend(&text, "| ", absl::StrJoin(rows[i], " | "), " |\n");
    if (i > 0) continue;
    absl::StrAppend(&text, "|---|");
    for (std::size_t column = 1; column < rows[0].size(); ++column) text += "--:|";
    text += "\n";
  }
  return text + "\n";
}

}  // namespace

std::string arena_markdown(const ArenaResult& result, const Machine& machine) {
  std::string text = conditions(result, machine) + ".\n\n";
  absl::StrAppend(&text, table(contender_rows(result)), table(goal_rows(result)));
  for (const TrialGroup& group : trial_groups()) {
    const std::vector<const Measure*>& measures = group_measures(result, group.name);
    if (measures.empty()) continue;
    absl::StrAppend(&text, "### ", group.title, "\n\n", group.text, "\n\n");
    for (const Measure* measure : measures) {
      absl::StrAppend(&text, table(group_rows(result, group.name, *measure)));
    }
    absl::StrAppend(&text, table(ratio_rows(result, group.name)));
    if (group.name == "cpu") absl::StrAppend(&text, table(scaling_rows(result)));
  }
  if (const Rows rows = idle_rows(result); !rows.empty()) {
    absl::StrAppend(&text, "### Idle connections\n\n", table(rows));
  }
  if (const Rows rows = micro_rows(result); !rows.empty()) {
    absl::StrAppend(&text, "### Single operations\n\n", table(rows));
  }
  if (const Rows rows = compile_rows(result); !rows.empty()) {
    absl::StrAppend(&text, "### Compiling\n\n", table(rows));
  }
  if (const Rows rows = size_rows(result); !rows.empty()) {
    absl::StrAppend(&text, "### Size of the echo programs\n\n", table(rows));
  }
  if (const std::string text_of_tally = tally(result); !text_of_tally.empty()) {
    absl::StrAppend(&text, "### Where epore is behind\n\n", text_of_tally, "\n\n",
                    table(behind_rows(result)));
  }
  for (const std::string& warning : arena_warnings(result, machine)) {
    absl::StrAppend(&text, "- **Warning**: ", warning, "\n");
  }
  return text;
}

}  // namespace epore::bench
