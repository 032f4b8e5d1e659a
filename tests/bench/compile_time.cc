// How long a compiler takes for a program on epore and for the same on Boost.Asio: see README.md in
// this folder. To be run by Bazel, which puts the headers where this looks for them.

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tests/bench/process.h"
#include "tests/bench/statistics.h"
#include "tests/bench/text_table.h"

ABSL_FLAG(std::string, compiler, "/usr/bin/g++", "the compiler to time");
ABSL_FLAG(int, rounds, 7, "how often each program is compiled with each optimisation");

namespace epore::bench {
namespace {

constexpr char kFolder[] = "tests/bench/compile_sources/";

absl::StatusOr<std::vector<std::string>> read_lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat("no ", path, " here; run it with: bazel run //tests/bench:compile_time"));
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// The same program on both: CPU seconds by round.
struct Pair {
  std::string name;
  std::vector<double> epore;
  std::vector<double> asio;
};

class CompileTimes {
 public:
  explicit CompileTimes(std::vector<std::string> flags) : flags_(std::move(flags)) {}

  absl::StatusOr<double> compile(const std::string& source, const std::string& optimisation) const {
    std::vector<std::string> command = {absl::GetFlag(FLAGS_compiler), "-std=c++20", optimisation};
    command.insert(command.end(), flags_.begin(), flags_.end());
    for (const char* word : {"-c", "-o", "/dev/null"}) command.emplace_back(word);
    command.push_back(kFolder + source + ".cc");
    absl::StatusOr<Process> process = Process::spawn(command);
    if (!process.ok()) return process.status();
    const absl::StatusOr<absl::Duration> time = process->wait_for_success(absl::Minutes(10));
    if (time.ok()) return absl::ToDoubleSeconds(*time);
    return absl::Status(time.status().code(),
                        absl::StrCat("compiler, ", source, ": ", time.status().message()));
  }

 private:
  std::vector<std::string> flags_;
};

std::string with_quartiles(const std::vector<double>& values) {
  const Quartiles q = quartiles(values);
  return absl::StrFormat("%.2f [%.2f %.2f]", q.median, q.low, q.high);
}

std::string ratio(const Pair& pair) {
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
  absl::StatusOr<std::vector<std::string>> flags =
      read_lines("tests/bench/epore_and_boost_headers.flags");
  if (!flags.ok()) return flags.status();
  bool has_boost = false;
  for (const std::string& flag : *flags) has_boost |= flag == "-DEPORE_HAVE_BOOST=1";
  const CompileTimes times(*std::move(flags));

  std::vector<Pair> pairs;
  for (const char* optimisation : {"-O0", "-O2"}) {
    for (const char* program : {"include", "echo"}) {
      pairs.push_back({.name = absl::StrCat(program, " ", optimisation), .epore = {}, .asio = {}});
      // One more than is kept, the first: it brings the headers into memory.
      for (int round = -1; round < rounds; ++round) {
        for (const char* library : {"epore", "asio"}) {
          const bool is_asio = library[0] == 'a';
          if (is_asio && !has_boost) continue;
          const absl::StatusOr<double> seconds =
              times.compile(absl::StrCat(program, "_", library), optimisation);
          if (!seconds.ok()) return seconds.status();
          if (round >= 0) (is_asio ? pairs.back().asio : pairs.back().epore).push_back(*seconds);
        }
      }
    }
  }

  TextTable table;
  table.add_row({"CPU seconds", "epore", "Boost.Asio", "ratio"});
  for (const Pair& pair : pairs) {
    if (has_boost) {
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
