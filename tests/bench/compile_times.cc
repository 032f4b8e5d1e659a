#include "tests/bench/compile_times.h"

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/bench/process.h"

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

class CompileTimes {
 public:
  CompileTimes(std::string compiler, std::vector<std::string> flags)
      : compiler_(std::move(compiler)), flags_(std::move(flags)) {}

  absl::StatusOr<double> compile(const std::string& source, const std::string& optimisation) const {
    std::vector<std::string> command = {compiler_, "-std=c++20", optimisation};
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
  std::string compiler_;
  std::vector<std::string> flags_;
};

}  // namespace

absl::StatusOr<std::vector<CompilePair>> time_compiler(
    const std::string& compiler, int rounds, std::string_view only,
    absl::FunctionRef<void(std::string_view what, double done)> progress) {
  if (rounds < 1) return absl::InvalidArgumentError("there must be a round");
  absl::StatusOr<std::vector<std::string>> flags =
      read_lines("tests/bench/epore_and_boost_headers.flags");
  if (!flags.ok()) return flags.status();
  bool has_boost = false;
  for (const std::string& flag : *flags) has_boost |= flag == "-DEPORE_HAVE_BOOST=1";
  const CompileTimes times(compiler, *std::move(flags));

  constexpr const char* kOptimisations[] = {"-O0", "-O2"};
  constexpr const char* kPrograms[] = {"include", "echo", "coroutine"};
  const double total = (only.empty() ? 6.0 : 1.0) * (rounds + 1);
  double done = 0;
  std::vector<CompilePair> pairs;
  for (const char* optimisation : kOptimisations) {
    for (const char* program : kPrograms) {
      const std::string name = absl::StrCat(program, " ", optimisation);
      if (!only.empty() && name != only) continue;
      CompilePair& pair = pairs.emplace_back();
      pair.name = name;
      // One more than is kept, the first: it brings the headers into memory.
      for (int round = -1; round < rounds; ++round, ++done) {
        progress(absl::StrCat("compile ", pair.name), done / total);
        for (const char* library : {"epore", "asio"}) {
          const bool is_asio = library[0] == 'a';
          if (is_asio && !has_boost) continue;
          const absl::StatusOr<double> seconds =
              times.compile(absl::StrCat(program, "_", library), optimisation);
          if (!seconds.ok()) return seconds.status();
          if (round >= 0) (is_asio ? pair.asio : pair.epore).push_back(*seconds);
        }
      }
    }
  }
  if (pairs.empty()) return absl::InvalidArgumentError(absl::StrCat("no program is ", only));
  return pairs;
}

}  // namespace epore::bench
