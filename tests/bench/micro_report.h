#ifndef EPORE_TESTS_BENCH_MICRO_REPORT_H_
#define EPORE_TESTS_BENCH_MICRO_REPORT_H_

#include <string>

#include "tests/bench/machine.h"
#include "tests/bench/micro_cases.h"

namespace epore::bench {

// For a terminal: what was measured where, a table, and what its columns mean.
std::string text_report(const MicroResult& result, const Machine& machine);

// The same and every round, for programs.
std::string json_report(const MicroResult& result, const Machine& machine);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_MICRO_REPORT_H_
