// How long a compiler takes for a program on epore and for the same on Boost.Asio: see README.md in
// this folder. To be run by Bazel, which puts the headers where this looks for them.

#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/compile_times.h"
#include "tests/bench/output.h"
#include "tests/bench/statistics.h"
#include "tests/bench/text_table.h"

ABSL_FLAG(std::string, compiler, "/usr/bin/g++", "the compiler to time");
ABSL_FLAG(std::string, only, "", "one program alone, as it is named in the report: \"echo -O2\"");
ABSL_FLAG(int, rounds, 7, "how often each program is compiled with each optimisation");

namespace epore::bench {
namespace {

std::string with_quartiles(const std::vector<double>& values) {
  const Quartiles q = quartiles(values);
  return absl::StrFormat("%.2f [%.2f %.2f]", q.median, q.low, q.high);
}

std::string ratio(const CompilePair& pair) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < pair.epore.size(); ++i) {
    ratios.push_back(pair.epore[i] / pair.asio[i]);
  }
  const MedianInterval interval = median_interval(ratios);
  return absl::StrFormat("%.2f [%.2f %.2f]", quartiles(ratios).median, interval.low, interval.high);
}

absl::Status run() {
  const int rounds = absl::GetFlag(FLAGS_rounds);
  if (rounds < 1) return absl::InvalidArgumentError("--rounds: must be at least 1");
  const absl::StatusOr<std::vector<CompilePair>> pairs = time_compiler(
      absl::GetFlag(FLAGS_compiler), rounds, absl::GetFlag(FLAGS_only), show_progress);
  clear_progress();
  if (!pairs.ok()) return pairs.status();

  TextTable table;
  table.add_row({"CPU seconds", "epore", "Boost.Asio", "ratio"});
  for (const CompilePair& pair : *pairs) {
    if (!pair.asio.empty()) {
      table.add_row(
          {pair.name, with_quartiles(pair.epore), with_quartiles(pair.asio), ratio(pair)});
    } else {
      table.add_row({pair.name, with_quartiles(pair.epore), "no Boost"});
    }
  }
  const double confidence =
      median_interval(std::vector<double>(static_cast<std::size_t>(rounds))).confidence;
  absl::PrintF("%s -std=c++20, %d rounds in turn: medians [quartiles]; ratio [%.0f%% interval]\n%s",
               absl::GetFlag(FLAGS_compiler), rounds, 100 * confidence, table.to_string());
  return absl::OkStatus();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Times a compiler on programs for epore and for Boost.Asio, in turn.\n\n"
      "  bazel run //tests/bench:compile_time\n");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  const absl::Status status =
      rest.size() > 1 ? absl::InvalidArgumentError(absl::StrCat("unexpected argument: ", rest[1]))
                      : epore::bench::run();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "error: %s\n", status.message());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
