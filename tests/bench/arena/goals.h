#ifndef EPORE_TESTS_BENCH_ARENA_GOALS_H_
#define EPORE_TESTS_BENCH_ARENA_GOALS_H_

#include <string>
#include <vector>

#include "tests/bench/arena/arena_run.h"
#include "tests/bench/statistics.h"

namespace epore::bench {

// What epore wants to reach.
struct Goal {
  enum class Bound { at_most, at_least };

  std::string text;
  double value;
  Bound bound;
  double limit;
  MedianInterval interval = {};  // of the value; without confidence: it has none

  bool is_met() const { return bound == Bound::at_most ? value <= limit : value >= limit; }
};

// Those for which the arena had what it takes to say.
std::vector<Goal> goals(const ArenaResult& result);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_GOALS_H_
