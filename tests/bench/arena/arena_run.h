#ifndef EPORE_TESTS_BENCH_ARENA_ARENA_RUN_H_
#define EPORE_TESTS_BENCH_ARENA_ARENA_RUN_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/affinity.h"
#include "tests/bench/arena/absence.h"
#include "tests/bench/arena/idle_cost.h"
#include "tests/bench/arena/program_size.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/calm_rounds.h"
#include "tests/bench/compile_times.h"
#include "tests/bench/contender_set.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/sample.h"

namespace epore::bench {

struct ArenaOptions {
  std::vector<ContenderSpec> contenders;
  std::vector<Trial> trials;
  int rounds = 9;
  absl::Duration round = absl::Milliseconds(150);  // what is measured; a fifth more warms up

  // What is no trial; 0: left out.
  int idle_connections = 10'000;
  absl::Duration idle_window = absl::Seconds(5);
  int micro_rounds = 9;
  double micro_scale = 1;  // of the number of operations, see MicroOptions
  int compile_rounds = 5;
  bool has_sizes = true;

  absl::Status check() const;
};

// What the contenders made of a trial, by contender and round.
struct TrialResult {
  Trial trial;
  std::vector<std::vector<Sample>> samples;  // none for who is absent
  std::vector<Absence> absences;
  RoundTally tally;
  absl::Duration elapsed;
};

struct ArenaResult {
  ArenaOptions options;
  CorePlan cores;
  std::vector<Contender> contenders;
  std::vector<TrialResult> trials;
  std::vector<IdleCost> idle;  // by contender
  MicroResult micro;
  std::vector<CompilePair> compile;
  std::vector<ProgramSize> sizes;
  std::vector<std::string>
      notes;  // parts that could not be done, and why; servers that did not end
  absl::Duration elapsed;

  RoundTally tally() const;  // of all trials

  // Somebody failed at something: the numbers are not whole.
  bool has_failures() const;
};

// What comes next, and how much of all is done, 0 to 1.
using ArenaProgress = absl::FunctionRef<void(std::string_view what, double done)>;

// Runs everything, trial by trial, round by round, the contenders in turn; a round that is
// disturbed is taken again, see CalmRounds. A contender that fails in a trial is out of it and
// starts anew in the next, and one that does not even start is out of all that need the same
// servers; an error is only what nobody could go on after.
absl::StatusOr<ArenaResult> run_arena(const ArenaOptions& options, ArenaProgress progress);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_ARENA_RUN_H_
