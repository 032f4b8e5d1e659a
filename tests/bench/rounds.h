#ifndef EPORE_TESTS_BENCH_ROUNDS_H_
#define EPORE_TESTS_BENCH_ROUNDS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/affinity.h"
#include "tests/bench/calm_rounds.h"
#include "tests/bench/contender_set.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/sample.h"

namespace epore::bench {

struct RoundsOptions {
  std::vector<ContenderSpec> contenders;
  std::vector<int> connections = {1, 50, 500};
  int rounds = 9;
  absl::Duration round = absl::Milliseconds(500);  // what is measured; a fifth more warms up
  std::size_t message_size = 64;
  int depth = 1;

  absl::Status check() const;
};

// A number of connections, and what the contenders made of it.
struct Workload {
  int connections = 0;
  std::vector<std::vector<Sample>> samples;  // by contender and round; none for who is skipped
  RoundTally tally = {};
};

struct RoundsResult {
  RoundsOptions options;
  CorePlan cores;
  std::vector<Contender> contenders;
  std::vector<Workload> workloads;

  RoundTally tally() const;  // of all workloads
};

// What comes next, and how much of all is done, 0 to 1.
using RoundsProgress = absl::FunctionRef<void(std::string_view what, double done)>;

// Starts all contenders, each a process pinned to the one core, and puts the load from the other
// core on one at a time, in turn, round by round. The others sleep meanwhile. Each round has fresh
// connections, and one that is disturbed is taken again, see CalmRounds. The first error ends it;
// no server is left running.
absl::StatusOr<RoundsResult> run_rounds(const RoundsOptions& options, RoundsProgress progress);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ROUNDS_H_
