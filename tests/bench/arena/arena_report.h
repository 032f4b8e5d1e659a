#ifndef EPORE_TESTS_BENCH_ARENA_ARENA_REPORT_H_
#define EPORE_TESTS_BENCH_ARENA_ARENA_REPORT_H_

#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/machine.h"

namespace epore::bench {

// What the arena found, for a terminal: everything, as tables.
std::string arena_text(const ArenaResult& result, const Machine& machine);

// For programs: everything and every single sample.
std::string arena_json(const ArenaResult& result, const Machine& machine);

// For docs/benchmarks.md: medians, goals, and where epore is behind.
std::string arena_markdown(const ArenaResult& result, const Machine& machine);

// One page with charts that needs nothing else: no network, no script. For light and dark screens.
std::string arena_html(const ArenaResult& result, const Machine& machine);

// -- What they have in common: arena_conditions.cc --

// "2 cores, AMD EPYC; Linux 6.18; gcc 12.2.0, optimised; 9 rounds of 250 ms; ..."
std::string conditions(const ArenaResult& result, const Machine& machine);

// What a reader of the numbers must be warned of, one line each.
std::vector<std::string> arena_warnings(const ArenaResult& result, const Machine& machine);

using Rows = std::vector<std::vector<std::string>>;  // the first one is the header; none: nothing

// Who took part, in which version, and who did not, and why.
Rows contender_rows(const ArenaResult& result);

// -- Trials: trial_rows.cc --

// "118.2" in the measure's unit.
std::string format_value(const Measure& measure, double value);

// All that was measured in a trial, a row for each contender: medians with quartiles, and the ratio
// of what the trial is about to the bare loop's and to the best of Asio's configurations.
Rows trial_rows(const ArenaResult& result, const TrialResult& trial);

// A column for each trial of the group, a row for each contender, medians of a measure.
Rows group_rows(const ArenaResult& result, std::string_view group, const Measure& measure);

// The measures of a group's trials: all of them have the same ones.
const std::vector<const Measure*>& group_measures(const ArenaResult& result,
                                                  std::string_view group);

// A row for each trial of the group: epore without flags relative to the bare loop and to the best
// of Asio's configurations in what the trial is about, with intervals and in words.
Rows ratio_rows(const ArenaResult& result, std::string_view group);

// Where epore without flags is behind the best of Asio's configurations by more than the interval.
Rows behind_rows(const ArenaResult& result);

// How often it is ahead, the same, and behind.
std::string tally(const ArenaResult& result);

// -- Other parts: arena_rows.cc --

// The goals, what was reached, and "met" or "not met".
Rows goal_rows(const ArenaResult& result);

// What each contender gains from all cores with CPU-heavy handlers.
Rows scaling_rows(const ArenaResult& result);

// Idle connections, micro costs, compile times and program sizes: none where they were left out.
Rows idle_rows(const ArenaResult& result);
Rows micro_rows(const ArenaResult& result);
Rows compile_rows(const ArenaResult& result);
Rows size_rows(const ArenaResult& result);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_ARENA_REPORT_H_
