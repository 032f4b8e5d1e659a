#ifndef EPORE_TESTS_BENCH_ARENA_TRIALS_H_
#define EPORE_TESTS_BENCH_ARENA_TRIALS_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "tests/bench/arena/trial.h"

namespace epore::bench {

// Trials that belong together, in the order of the report.
struct TrialGroup {
  std::string_view name;
  std::string_view title;
  std::string_view text;  // what is done, and what its rate counts
};
const std::vector<TrialGroup>& trial_groups();

// Echo has every combination of sizes, depths and connections but those with more bytes than this
// in flight: they would fill the sockets' buffers and measure the kernel's memory.
inline constexpr std::size_t kMostInFlight = 256u << 20;

// All trials; quick: a choice from each group.
std::vector<Trial> make_trials(bool quick);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_TRIALS_H_
