#ifndef EPORE_TESTS_BENCH_CALM_ROUNDS_H_
#define EPORE_TESTS_BENCH_CALM_ROUNDS_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "tests/bench/sample.h"

namespace epore::bench {

// Why a round says less about the server than it should.
enum class Disturbance {
  none,
  load_waited,     // for its core: something else ran there
  load_was_limit,  // the load had no time left, and the server had some
};

// How the load of a round is made, which decides what a disturbance is.
struct LoadKind {
  bool has_own_core = true;    // else it waits for the servers, as it should
  bool is_closed_loop = true;  // an open loop watches the clock, and is always busy
};

Disturbance disturbance(const Sample& sample, const LoadKind& kind);

// How many rounds there were, and what became of them.
struct RoundTally {
  int taken = 0;    // all, with those that were discarded
  int waited = 0;   // discarded, as the load had waited for its core
  int limited = 0;  // discarded, as the load was the limit
  int kept = 0;     // disturbed, but there was no time for another one

  void add(const RoundTally& other);

  // "120 rounds, of which 9 were discarded and taken again: in 7 the load ..."
  std::string to_string() const;
};

// Takes rounds of one trial, each of them again while it is disturbed. As many may be taken again
// as half of those that are wanted, and each of them twice; then the least disturbed one counts.
class CalmRounds {
 public:
  // `rounds`: of all contenders together.
  CalmRounds(int rounds, const LoadKind& kind) : kind_(kind), spare_(rounds / 2) {}

  // The first error ends it.
  absl::StatusOr<Sample> take(absl::FunctionRef<absl::StatusOr<Sample>()> round);

  const RoundTally& tally() const { return tally_; }

 private:
  void discard(const Sample& sample);

  const LoadKind kind_;
  int spare_;
  RoundTally tally_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_CALM_ROUNDS_H_
