// Shows what epore does in less than half a minute: the acceptance scenario against a delay server,
// then a short echo comparison with Boost.Asio.

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/base/config.h"
#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "examples/acceptance_scenario.h"
#include "examples/child_process.h"
#include "examples/command_line.h"
#include "examples/demo_comparison.h"
#include "examples/demo_scenario.h"
#include "examples/terminal.h"
#include "tests/bench/echo_comparison.h"
#include "tests/bench/machine.h"

ABSL_FLAG(absl::Duration, step, absl::Seconds(1), "of the scenario's delays");
ABSL_FLAG(absl::Duration, comparison, absl::Seconds(10), "how long to compare; 0: not at all");

namespace {

using examples::ChildProcess;
using examples::Terminal;

constexpr std::string_view kHelp = R"(demo [flags]

Starts a delay server, has 60 requests answered by it, and compares echo servers. Takes about 15 s.

  --step=1s            of the scenario's delays: 0 to 4 steps
  --comparison=10s     how long to compare; 0: not at all
  --help               print this

Draws with escape codes only on a terminal and without NO_COLOR, and in ASCII unless the locale is
UTF-8.
)";

// The delay server that was built along with this program, started.
absl::StatusOr<ChildProcess> start_server() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string path = self.parent_path() / "delay_server";
  if (::access(path.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(path, ": build it with //examples:demo"));
  }
  return ChildProcess::start({path, "--address=127.0.0.1:0"});
}

absl::Status play_scenario(Terminal& terminal) {
  absl::StatusOr<ChildProcess> server = start_server();
  if (!server.ok()) return server.status();
  constexpr std::string_view kListen = "LISTEN ";
  const std::string line = server->read_line().value_or("");
  if (!absl::StartsWith(line, kListen)) return absl::UnavailableError("no delay server");

  examples::ScenarioOptions options;
  options.address = line.substr(kListen.size());
  options.step = absl::GetFlag(FLAGS_step);
  terminal.print(
      absl::StrFormat("%s  %d threads start %d requests each over one reactor, all at once",
                      terminal.bold("Timers and connections"), options.workers, options.requests));
  terminal.print(terminal.faint(
      absl::StrFormat("  GET /{delay}/HelloWorld{i} of a delay server at %s, process %d",
                      options.address, server->pid())));
  absl::Status status = show_scenario(terminal, options);
  server->signal(SIGTERM);
  if (status.ok() && server->wait().value_or(-1) != 0) {
    status = absl::InternalError("the delay server did not end well");
  }
  return status;
}

void print_versions(Terminal& terminal, const epore::bench::EchoComparison& comparison) {
  const auto line = [&](std::string_view name, std::string_view value) {
    terminal.print(absl::StrFormat("  %-23s%s", name, value));
  };
  const auto machine = epore::bench::Machine::here();
  terminal.print("");
  terminal.print(terminal.bold("Versions and machine"));
  for (const epore::bench::EchoRow& row : comparison.rows) {
    if (!row.version.empty()) line(row.name, row.version);
  }
  line("Abseil", absl::StrCat(ABSL_LTS_RELEASE_VERSION, ".", ABSL_LTS_RELEASE_PATCH_LEVEL));
  line("Compiler", absl::StrCat(machine.compiler, ", ", machine.build));
  line("System", machine.kernel);
  line("Processor", absl::StrFormat("%s, %d %s", machine.cpu, machine.cores,
                                    machine.cores == 1 ? "core" : "cores"));
}

absl::Status run(Terminal& terminal) {
  const absl::Status status = play_scenario(terminal);
  if (!status.ok()) return status;

  epore::bench::EchoComparison comparison;
  epore::bench::EchoComparisonOptions options;
  options.duration = absl::GetFlag(FLAGS_comparison);
  if (options.duration > absl::ZeroDuration()) {
    terminal.print("");
    terminal.print(absl::StrFormat("%s  %d connections, %d bytes a message, %s",
                                   terminal.bold("Echo"), options.connections, options.message_size,
                                   absl::FormatDuration(options.duration)));
    auto compared = show_comparison(terminal, options);
    if (!compared.ok()) return compared.status();
    comparison = *std::move(compared);
    draw_comparison(terminal, comparison);
    if (!epore::bench::Machine::here().is_optimised) {
      terminal.print(
          terminal.red("  Not built for measuring: for numbers that mean something, run"));
      terminal.print(terminal.red("  ./bazelw run --config=opt //examples:demo"));
    }
  }
  print_versions(terminal, comparison);
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (!examples::parse_command_line(argc, argv, kHelp).empty()) {
    examples::usage_error("the demo takes flags only");
  }
  Terminal terminal(stdout, examples::Look::of(stdout));
  return epore::report(run(terminal));
}
