#ifndef EPORE_TESTS_BENCH_ARENA_ARENA_PLAN_H_
#define EPORE_TESTS_BENCH_ARENA_ARENA_PLAN_H_

#include "absl/time/time.h"
#include "tests/bench/arena/arena_run.h"

namespace epore::bench {

// All contenders and everything that they do; quick: a choice, in short rounds, without compiling.
ArenaOptions plan_arena(bool is_quick);

// About how long it will take on two cores, so that nobody waits for nothing, and so that a test
// holds what README.md promises.
absl::Duration expected_time(const ArenaOptions& options);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_ARENA_PLAN_H_
