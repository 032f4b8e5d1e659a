#include "examples/demo_comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "examples/terminal.h"
#include "tests/bench/echo_comparison.h"

namespace examples {
namespace {

using epore::bench::EchoComparison;
using epore::bench::EchoRow;

constexpr std::size_t kBarWidth = 24;

// 123456.7 as "123,457".
std::string with_commas(double number) {
  std::string digits = absl::StrCat(std::llround(number));
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

}  // namespace

absl::StatusOr<EchoComparison> show_comparison(Terminal& terminal,
                                               const epore::bench::EchoComparisonOptions& options) {
  int told = 0;  // quarters, for those who see no progress line
  absl::StatusOr<EchoComparison> comparison =
      epore::bench::run_echo_comparison(options, [&](std::string_view what, double done) {
        terminal.show_progress(
            absl::StrFormat("  %3.0f %%  %s %s", done * 100, terminal.bar(done, kBarWidth), what));
        const int quarter = static_cast<int>(done * 4);
        if (!terminal.look().is_live && quarter > told) {
          terminal.print(absl::StrFormat("  %3d %% done", quarter * 25));
          told = quarter;
        }
      });
  terminal.show_progress("");
  return comparison;
}

void draw_comparison(Terminal& terminal, const EchoComparison& comparison) {
  // Not messages per second, which whatever else runs on the machine takes part in deciding.
  const auto per_cpu_second = [](const EchoRow& row) {
    return row.cpu_ns_per_message > 0 ? 1e9 / row.cpu_ns_per_message : 0;
  };
  double most = 1;
  for (const EchoRow& row : comparison.rows) most = std::max(most, per_cpu_second(row));
  terminal.print(terminal.faint(absl::StrFormat(
      "  %-23s%-*s  per CPU second  per second     p50     p99", "messages", kBarWidth, "")));
  for (const EchoRow& row : comparison.rows) {
    const std::string name = absl::StrFormat("%-23s", row.name);
    if (!row.skipped.empty()) {
      terminal.print(absl::StrCat("  ", name, "skipped: ", row.skipped));
      continue;
    }
    const std::string bar = terminal.bar(per_cpu_second(row) / most, kBarWidth);
    const bool is_ours = absl::StartsWith(row.name, "epore");
    terminal.print(absl::StrCat(
        "  ", is_ours ? terminal.bold(name) : name, is_ours ? terminal.green(bar) : bar,
        absl::StrFormat("  %14s  %10s  %3.1f ms  %3.1f ms", with_commas(per_cpu_second(row)),
                        with_commas(row.rate), absl::ToDoubleMilliseconds(row.p50),
                        absl::ToDoubleMilliseconds(row.p99))));
  }
  terminal.print(terminal.faint(absl::StrCat("  medians of ", comparison.rounds,
                                             " rounds in turn, each server on one core")));
  terminal.print(terminal.faint(absl::StrCat("  ", comparison.tally)));
  // Those of epore, each with the server that has as many threads, which follows it.
  for (std::size_t i = 1; i + 1 < comparison.rows.size(); i += 2) {
    const std::string result =
        epore::bench::race_result(comparison.rows[i], comparison.rows[i + 1]);
    if (!result.empty()) terminal.print(absl::StrCat("  ", terminal.bold(result)));
  }
  if (!comparison.note.empty()) terminal.print("  " + comparison.note);
}

}  // namespace examples
