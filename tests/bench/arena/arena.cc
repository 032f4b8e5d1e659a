// Everything that epore claims about its cost, measured against its peers: see README.md in
// tests/bench.

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/bench/arena/arena_plan.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/arena/trials.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/leaked_servers.h"
#include "tests/bench/machine.h"
#include "tests/bench/output.h"
#include "tests/bench/programs.h"

ABSL_FLAG(bool, quick, false,
          "a choice of trials in short rounds, without compiling, in less than two minutes");
ABSL_FLAG(std::string, contenders, "",
          "who takes part, NAME:FLAG=VALUE:..., separated by commas; empty: all");
ABSL_FLAG(std::string, only, "",
          "only trials with one of these ids or whose id begins so, separated by commas, and of "
          "the other "
          "parts, idle, micro, compile and size, only those named; see --list");
ABSL_FLAG(bool, list, false, "print the ids of all trials and parts, and end");
ABSL_FLAG(int, rounds, 0, "rounds of each contender in each trial; 0: 9, quick: 5");
ABSL_FLAG(double, seconds, 0, "length of a round; a fifth more warms up; 0: 0.15, quick: 0.06");
ABSL_FLAG(std::string, json, "", "also write everything to this file as JSON");
ABSL_FLAG(std::string, html, "", "also write a page with charts to this file");
ABSL_FLAG(std::string, markdown, "", "also write tables of medians to this file");

namespace epore::bench {
namespace {

bool is_wanted(std::string_view id, const std::vector<std::string>& only) {
  return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& prefix) {
           return absl::StartsWith(id, prefix);
         });
}

// "echo/50x64x1" names that trial, and not echo/50x64x16 as well.
bool is_wanted(const Trial& trial, const std::vector<Trial>& all,
               const std::vector<std::string>& only) {
  return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& name) {
           const bool is_whole = std::any_of(all.begin(), all.end(),
                                             [&](const Trial& other) { return other.id == name; });
           return is_whole ? trial.id == name : absl::StartsWith(trial.id, name);
         });
}

absl::StatusOr<ArenaOptions> make_options() {
  const bool is_quick = absl::GetFlag(FLAGS_quick);
  ArenaOptions options = plan_arena(is_quick);
  if (const std::string contenders = absl::GetFlag(FLAGS_contenders); !contenders.empty()) {
    absl::StatusOr<std::vector<ContenderSpec>> specs = parse_contenders(contenders);
    if (!specs.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--contenders: ", specs.status().message()));
    }
    options.contenders = *std::move(specs);
  }
  // A slip of the pen is to be known before the minutes of measuring.
  for (const ContenderSpec& spec : options.contenders) {
    const absl::StatusOr<std::string> program = find_program(absl::StrCat("echo_", spec.name));
    if (!program.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--contenders: ", program.status().message()));
    }
  }

  std::vector<std::string> only;
  if (const std::string text = absl::GetFlag(FLAGS_only); !text.empty()) {
    only = absl::StrSplit(text, ',', absl::SkipEmpty());
  }
  for (const std::string& prefix : only) {
    const bool is_known =
        std::any_of(options.trials.begin(), options.trials.end(),
                    [&](const Trial& trial) { return absl::StartsWith(trial.id, prefix); }) ||
        prefix == "idle" || prefix == "micro" || prefix == "compile" || prefix == "size";
    if (!is_known) {
      return absl::InvalidArgumentError(
          absl::StrCat("--only: nothing begins with \"", prefix, "\"; see --list"));
    }
  }
  const std::vector<Trial> all = options.trials;
  std::erase_if(options.trials, [&](const Trial& trial) { return !is_wanted(trial, all, only); });

  if (const int rounds = absl::GetFlag(FLAGS_rounds); rounds != 0) options.rounds = rounds;
  if (const double seconds = absl::GetFlag(FLAGS_seconds); seconds != 0) {
    options.round = absl::Seconds(seconds);
  }
  if (is_quick && !only.empty()) options.compile_rounds = 1;  // it is named
  if (!is_wanted("idle", only)) options.idle_connections = 0;
  if (!is_wanted("micro", only)) options.micro_rounds = 0;
  if (!is_wanted("compile", only)) options.compile_rounds = 0;
  options.has_sizes = is_wanted("size", only);
  if (absl::Status status = options.check(); !status.ok()) return status;
  return options;
}

void print_list(const ArenaOptions& options) {
  for (const Trial& trial : options.trials) absl::PrintF("%s\n", trial.id);
  if (options.idle_connections > 0) absl::PrintF("idle\n");
  if (options.micro_rounds > 0) absl::PrintF("micro\n");
  if (options.compile_rounds > 0) absl::PrintF("compile\n");
  if (options.has_sizes) absl::PrintF("size\n");
}

absl::Status run() {
  const absl::StatusOr<ArenaOptions> options = make_options();
  if (!options.ok()) return options.status();
  if (absl::GetFlag(FLAGS_list)) {
    print_list(*options);
    return absl::OkStatus();
  }
  struct Page {
    std::string path;
    std::string (*write)(const ArenaResult&, const Machine&);
  };
  const Page pages[] = {{absl::GetFlag(FLAGS_json), arena_json},
                        {absl::GetFlag(FLAGS_html), arena_html},
                        {absl::GetFlag(FLAGS_markdown), arena_markdown}};
  for (const Page& page : pages) {
    if (page.path.empty()) continue;
    if (absl::Status status = write_output(page.path, ""); !status.ok()) return status;
  }
  if (absl::Status status = check_no_leaked_server(); !status.ok()) return status;
  absl::FPrintF(stderr, "about %s on two cores\n",
                absl::FormatDuration(absl::Trunc(expected_time(*options), absl::Seconds(1))));
  const absl::StatusOr<ArenaResult> result = run_arena(*options, show_progress);
  clear_progress();
  if (!result.ok()) return result.status();
  const Machine machine = Machine::here();
  absl::PrintF("%s", arena_text(*result, machine));
  for (const Page& page : pages) {
    if (page.path.empty()) continue;
    absl::Status status = write_output(page.path, page.write(*result, machine));
    if (!status.ok()) return status;
  }
  if (result->has_failures()) return absl::UnknownError("not everybody could do everything");
  return absl::OkStatus();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Measures what epore and its peers cost, in turns: echo in many shapes, a slow neighbour, "
      "CPU-heavy handlers, broadcast, short and idle connections, single operations, compiling.\n\n"
      "  bazel run -c opt //tests/bench:arena -- --quick\n"
      "  bazel run -c opt //tests/bench:arena -- --html=arena.html --json=arena.json\n"
      "  bazel run -c opt //tests/bench:arena -- --only=echo/50,neighbour "
      "--contenders=epore,asio:threads=2\n");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  const absl::Status status =
      rest.size() > 1 ? absl::InvalidArgumentError(absl::StrCat("unexpected argument: ", rest[1]))
                      : epore::bench::run();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "error: %s\n", status.message());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
