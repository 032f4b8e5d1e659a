#ifndef EPORE_TESTS_BENCH_MICRO_CASES_H_
#define EPORE_TESTS_BENCH_MICRO_CASES_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "tests/bench/micro_side.h"

namespace epore::bench {

struct MicroOptions {
  int rounds = 9;
  double scale = 1;    // of the number of operations, and of timers and connections
  std::string filter;  // only cases with this in their name
};

// What one library needed for one case.
struct MicroCost {
  std::vector<double> wall_ns;  // for one operation, by round
  std::vector<double> cpu_ns;   // of all threads
  double allocations = 0;       // for one operation, in a round of its own that was not timed
};

struct MicroRow {
  std::string name;
  double limit = 0;              // of the ratio of times to Asio's; 0: none is wanted
  std::vector<MicroCost> costs;  // by side
};

// A connection that has echoed a byte and is idle, its timeout or deadline armed.
struct MicroMemory {
  int connections = 0;
  std::vector<double> bytes;  // of one, by side
};

struct MicroResult {
  MicroOptions options;
  std::vector<std::string> names;  // of the sides
  std::vector<std::string> versions;
  bool has_heap = false;  // allocations and bytes were counted
  std::vector<MicroRow> rows;
  MicroMemory memory;       // with callbacks
  MicroMemory task_memory;  // with a coroutine
};

using MicroProgress = absl::FunctionRef<void(std::string_view what, double done)>;

// Measures case after case: in each, the sides in turn, round by round, each round in another
// order. The first error ends it.
absl::StatusOr<MicroResult> run_micro(const std::vector<std::unique_ptr<MicroSide>>& sides,
                                      const MicroOptions& options, MicroProgress progress);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_MICRO_CASES_H_
