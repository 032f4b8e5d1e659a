#ifndef EPORE_TESTS_BENCH_ARENA_ARENA_CHARTS_H_
#define EPORE_TESTS_BENCH_ARENA_ARENA_CHARTS_H_

#include <string>

#include "tests/bench/arena/arena_run.h"

namespace epore::bench {

// The arena's results as charts for its page, see svg_chart.h; nothing where nothing was measured.

// CPU, rate and latency, as far as the trial is about them.
std::string trial_charts(const ArenaResult& result, const TrialResult& trial);

// Memory and wakeups.
std::string idle_charts(const ArenaResult& result);

// One for each operation, epore and Asio.
std::string micro_charts(const ArenaResult& result);

std::string compile_charts(const ArenaResult& result);
std::string size_charts(const ArenaResult& result);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_ARENA_CHARTS_H_
