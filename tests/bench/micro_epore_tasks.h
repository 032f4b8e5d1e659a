#ifndef EPORE_TESTS_BENCH_MICRO_EPORE_TASKS_H_
#define EPORE_TESTS_BENCH_MICRO_EPORE_TASKS_H_

#include "epore/runtime/runtime.h"
#include "tests/bench/micro_tasks.h"
#include "tests/bench/stopwatch.h"

namespace epore::bench {

// `count` times; `other` is for the work that needs another thread.
Stopwatch::Time run_epore_tasks(Runtime& runtime, Runtime& other, TaskWork work, int count);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_MICRO_EPORE_TASKS_H_
