#ifndef EPORE_TESTS_BENCH_ARENA_ABSENCE_H_
#define EPORE_TESTS_BENCH_ARENA_ABSENCE_H_

#include <string>

namespace epore::bench {

// Why a contender has no numbers; empty: it has.
struct Absence {
  std::string why;
  bool is_failure = false;  // it should have had some
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_ABSENCE_H_
