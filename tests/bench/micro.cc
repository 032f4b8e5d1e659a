// What single operations cost on epore and on Boost.Asio: see README.md in this folder.

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/machine.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/micro_report.h"
#include "tests/bench/micro_side.h"
#include "tests/bench/output.h"

ABSL_FLAG(std::string, dispatch, "",
          "epore's: who runs callbacks; empty: the runtime's default, see RuntimeOptions");
ABSL_FLAG(int, workers, 0, "epore's worker threads; 0: one per core");
ABSL_FLAG(int, rounds, 9, "rounds of each side with each case");
ABSL_FLAG(double, scale, 1, "of the number of operations, timers and connections");
ABSL_FLAG(std::string, cases, "", "only those with this in their name");
ABSL_FLAG(std::string, sides, "epore,asio", "who takes part: both, or one of them");
ABSL_FLAG(std::string, json, "", "also write everything to this file as JSON");

namespace epore::bench {
namespace {

absl::StatusOr<std::vector<std::unique_ptr<MicroSide>>> make_sides() {
  std::optional<Dispatch> dispatch;
  if (const std::string name = absl::GetFlag(FLAGS_dispatch); !name.empty()) {
    dispatch = parse_dispatch(name);
    if (!dispatch) return absl::InvalidArgumentError(absl::StrCat("no dispatch \"", name, "\""));
  }
  const std::string wanted = absl::GetFlag(FLAGS_sides);
  if (wanted != "epore,asio" && wanted != "epore" && wanted != "asio") {
    return absl::InvalidArgumentError("--sides: epore,asio or one of them");
  }
  std::vector<std::unique_ptr<MicroSide>> sides;
  if (wanted != "asio") sides.push_back(make_epore_side(dispatch, absl::GetFlag(FLAGS_workers)));
  if (wanted != "epore") {
    if (std::unique_ptr<MicroSide> asio = make_asio_side()) sides.push_back(std::move(asio));
  }
  if (sides.empty()) return absl::FailedPreconditionError("built without Boost");
  return sides;
}

absl::Status run() {
  const absl::StatusOr<std::vector<std::unique_ptr<MicroSide>>> sides = make_sides();
  if (!sides.ok()) return sides.status();
  const MicroOptions options = {.rounds = absl::GetFlag(FLAGS_rounds),
                                .scale = absl::GetFlag(FLAGS_scale),
                                .filter = absl::GetFlag(FLAGS_cases)};
  const absl::StatusOr<MicroResult> result = run_micro(*sides, options, show_progress);
  clear_progress();
  if (!result.ok()) return result.status();
  const Machine machine = Machine::here();
  absl::PrintF("%s", text_report(*result, machine));
  const std::string path = absl::GetFlag(FLAGS_json);
  if (path.empty()) return absl::OkStatus();
  return write_output(path, json_report(*result, machine));
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Compares what posts, timers and idle connections cost on epore and on Boost.Asio, in "
      "turns, in one process.\n\n"
      "  bazel run -c opt //tests/bench:micro -- --dispatch=poll_thread --json=micro.json\n");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  const absl::Status status =
      rest.size() > 1 ? absl::InvalidArgumentError(absl::StrCat("unexpected argument: ", rest[1]))
                      : epore::bench::run();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "error: %s\n", status.message());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
