#ifndef EPORE_TESTS_BENCH_ARENA_VERDICT_H_
#define EPORE_TESTS_BENCH_ARENA_VERDICT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {

enum class Outcome {
  ahead,
  same,  // the interval holds 1: no difference was seen
  behind,
};

// How one contender's numbers compare with another's, round by round.
struct Verdict {
  double ratio = 1;  // the median of the rounds' ratios
  MedianInterval interval;
  Outcome outcome = Outcome::same;

  static Verdict of(const std::vector<Sample>& ours, const std::vector<Sample>& theirs,
                    const Measure& measure);
};

// The contender with this label, if it took part.
std::optional<std::size_t> find_contender(const ArenaResult& result, std::string_view label);

// Whichever of Boost.Asio's configurations has the best median in a trial, if any was in it.
std::optional<std::size_t> best_asio(const ArenaResult& result, const TrialResult& trial,
                                     const Measure& measure);

// epore as it is without flags against Asio's best, for each measure of each trial.
struct Comparison {
  const TrialResult* trial;
  const Measure* measure;
  std::size_t asio;
  Verdict verdict;
};
std::vector<Comparison> against_asio(const ArenaResult& result);

// What epore wants to reach, where the arena had what it takes to say.
struct Goal {
  std::string text;
  double value;
  double limit;  // at most
  bool is_met() const { return value <= limit; }
};
std::vector<Goal> goals(const ArenaResult& result);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_VERDICT_H_
