#ifndef EPORE_TESTS_BENCH_REPORT_H_
#define EPORE_TESTS_BENCH_REPORT_H_

#include <string>

#include "tests/bench/machine.h"
#include "tests/bench/rounds.h"

namespace epore::bench {

// For a terminal: what was measured where, a table for each number of connections, and the CPU per
// message over all of them.
std::string text_report(const RoundsResult& result, const Machine& machine);

// The same and every single sample, for programs.
std::string json_report(const RoundsResult& result, const Machine& machine);

// What a reader of the numbers must be warned of, one line each; empty: of nothing.
std::string warnings(const RoundsResult& result, const Machine& machine);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_REPORT_H_
