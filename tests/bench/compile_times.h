#ifndef EPORE_TESTS_BENCH_COMPILE_TIMES_H_
#define EPORE_TESTS_BENCH_COMPILE_TIMES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace epore::bench {

// The same program on both: CPU seconds of the compiler, by round.
struct CompilePair {
  std::string name;  // "echo -O2"
  std::vector<double> epore;
  std::vector<double> asio;  // empty: there is no Boost
};

// Compiles the programs in compile_sources, each as a process of its own, in turn. Looks for
// sources and headers where Bazel puts them: NotFound where they are not. `only` is the name of one
// pair, or empty for all.
absl::StatusOr<std::vector<CompilePair>> time_compiler(
    const std::string& compiler, int rounds, std::string_view only,
    absl::FunctionRef<void(std::string_view what, double done)> progress);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_COMPILE_TIMES_H_
