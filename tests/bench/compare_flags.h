#ifndef EPORE_TESTS_BENCH_COMPARE_FLAGS_H_
#define EPORE_TESTS_BENCH_COMPARE_FLAGS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/rounds.h"

namespace epore::bench {

// What was given on the command line of compare, not checked yet.
struct CompareFlags {
  std::string contenders;
  std::string connections;
  int rounds = 0;
  double seconds = 0;
  std::int64_t size = 0;
  int depth = 0;
  bool quick = false;  // at most 3 rounds of 0.2 s
};

// InvalidArgument names the flag.
absl::StatusOr<RoundsOptions> make_rounds_options(const CompareFlags& flags);

// "1,50,500".
absl::StatusOr<std::vector<int>> parse_connections(std::string_view text);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_COMPARE_FLAGS_H_
