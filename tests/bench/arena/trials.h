#ifndef EPORE_TESTS_BENCH_ARENA_TRIALS_H_
#define EPORE_TESTS_BENCH_ARENA_TRIALS_H_

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

// All trials; quick: a choice from each group.
std::vector<Trial> make_trials(bool quick);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_TRIALS_H_
