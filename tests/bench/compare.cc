// The same echo on epore, on Boost.Asio and on a bare epoll loop: see README.md in this folder.

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/compare_flags.h"
#include "tests/bench/leaked_servers.h"
#include "tests/bench/machine.h"
#include "tests/bench/output.h"
#include "tests/bench/report.h"
#include "tests/bench/rounds.h"

ABSL_FLAG(std::string, contenders, "epoll,epore,epore:dispatch=poll_thread,asio,asio:threads=2",
          "who takes part, separated by commas: NAME:FLAG=VALUE:... runs the program echo_NAME "
          "with these flags; the same twice shows how much the numbers are worth");
ABSL_FLAG(std::string, connections, "1,50,500", "numbers of connections, separated by commas");
ABSL_FLAG(int, rounds, 9, "rounds of each contender with each number of connections");
ABSL_FLAG(double, seconds, 0.5, "length of a round; a fifth more warms up");
ABSL_FLAG(std::int64_t, size, 64, "bytes of a message");
ABSL_FLAG(int, depth, 1, "messages in flight on each connection");
ABSL_FLAG(bool, quick, false, "for a first look: at most 3 rounds of 0.2 seconds");
ABSL_FLAG(std::string, json, "", "also write everything to this file as JSON");

namespace epore::bench {
namespace {

absl::Status run() {
  const absl::StatusOr<RoundsOptions> options =
      make_rounds_options({.contenders = absl::GetFlag(FLAGS_contenders),
                           .connections = absl::GetFlag(FLAGS_connections),
                           .rounds = absl::GetFlag(FLAGS_rounds),
                           .seconds = absl::GetFlag(FLAGS_seconds),
                           .size = absl::GetFlag(FLAGS_size),
                           .depth = absl::GetFlag(FLAGS_depth),
                           .quick = absl::GetFlag(FLAGS_quick)});
  if (!options.ok()) return options.status();
  // A file that cannot be written is to be known before the minutes of measuring.
  const std::string json = absl::GetFlag(FLAGS_json);
  if (!json.empty()) {
    if (absl::Status status = write_output(json, ""); !status.ok()) return status;
  }

  if (absl::Status status = check_no_leaked_server(); !status.ok()) return status;
  const absl::StatusOr<RoundsResult> result = run_rounds(*options, show_progress);
  clear_progress();
  if (!result.ok()) return result.status();
  const Machine machine = Machine::here();
  absl::PrintF("%s", text_report(*result, machine));
  if (json.empty()) return absl::OkStatus();
  return write_output(json, json_report(*result, machine));
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Compares echo servers: rate, latency and CPU per message, in turns, each pinned to a core "
      "of its own.\n\n"
      "  bazel run -c opt //tests/bench:compare -- --connections=50 --json=echo.json\n");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  absl::Status status =
      rest.size() > 1 ? absl::InvalidArgumentError(absl::StrCat("unexpected argument: ", rest[1]))
                      : epore::bench::run();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "error: %s\n", status.message());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
