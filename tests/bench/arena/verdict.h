#ifndef EPORE_TESTS_BENCH_ARENA_VERDICT_H_
#define EPORE_TESTS_BENCH_ARENA_VERDICT_H_

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {

inline constexpr std::string_view kOurs = "epore";  // as it is without any flag
inline constexpr std::string_view kFloor = "epoll";

enum class Outcome {
  ahead,
  same,  // the interval holds 1: no difference was seen
  behind,
  open,  // too few rounds for an interval that says anything
};

// "ahead", "no difference", "behind", "too few rounds to say"
std::string_view outcome_text(Outcome outcome);

// How one contender's numbers compare with another's, round by round.
struct Verdict {
  double ratio = 1;  // the median of the rounds' ratios
  MedianInterval interval;
  Outcome outcome = Outcome::open;

  static Verdict of(const std::vector<Sample>& ours, const std::vector<Sample>& theirs,
                    const Measure& measure);
  static Verdict of_ratios(std::vector<double> ratios, bool more_is_better);
};

// The contender with this label, if it took part.
std::optional<std::size_t> find_contender(const ArenaResult& result, std::string_view label);

// Null: it was not wanted.
const TrialResult* find_trial(const ArenaResult& result, std::string_view id);

// Whichever contender that is wanted has the best median in a trial, if any was in it.
std::optional<std::size_t> best_of(const ArenaResult& result, const TrialResult& trial,
                                   const Measure& measure,
                                   absl::FunctionRef<bool(const ContenderSpec&)> is_wanted);

// Whichever of Boost.Asio's configurations has it.
std::optional<std::size_t> best_asio(const ArenaResult& result, const TrialResult& trial,
                                     const Measure& measure);

// epore as it is without flags against somebody else, by one measure of one trial.
struct Comparison {
  const TrialResult* trial;
  const Measure* measure;
  std::size_t base;
  Verdict verdict;
};

// Against the best of Asio's configurations and against the bare loop: each measure of each trial.
std::vector<Comparison> against_asio(const ArenaResult& result);
std::vector<Comparison> against_floor(const ArenaResult& result);

// A contender's rate with CPU-heavy handlers, on all cores relative to one.
std::optional<Verdict> scaling(const ArenaResult& result, std::size_t contender);

// epore's time for one operation relative to Asio's. The case must have been run on both.
Verdict micro_verdict(const MicroRow& row);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_VERDICT_H_
