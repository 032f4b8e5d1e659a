#include "tests/bench/calm_rounds.h"

#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/sample.h"

namespace epore::bench {
namespace {

constexpr double kQuiet = 0.03;       // share of a round that the load may wait for its core
constexpr double kLoadIsFull = 0.97;  // of the load's core
constexpr double kServerHasTime = 0.9;
constexpr int kMostAttempts = 3;

}  // namespace

Disturbance disturbance(const Sample& sample, const LoadKind& kind) {
  if (!kind.has_own_core) return Disturbance::none;
  if (sample.load_waited > kQuiet) return Disturbance::load_waited;
  if (kind.is_closed_loop && sample.load_busy > kLoadIsFull &&
      sample.server_busy < kServerHasTime) {
    return Disturbance::load_was_limit;
  }
  return Disturbance::none;
}

void RoundTally::add(const RoundTally& other) {
  taken += other.taken;
  waited += other.waited;
  limited += other.limited;
  kept += other.kept;
}

std::string RoundTally::to_string() const {
  std::string text = absl::StrCat(taken, " rounds");
  if (const int discarded = waited + limited; discarded > 0) {
    absl::StrAppend(&text, ", of which ", discarded, " were discarded and taken again: in ", waited,
                    " the load waited for its core, in ", limited, " it was the limit");
  } else {
    text += ", none discarded";
  }
  if (kept > 0) {
    absl::StrAppend(&text, "; ", kept, " disturbed ones count, as no better ones came");
  }
  return text;
}

absl::StatusOr<Sample> CalmRounds::take(absl::FunctionRef<absl::StatusOr<Sample>()> round) {
  absl::StatusOr<Sample> best = round();
  ++tally_.taken;
  for (int attempt = 1; best.ok() && disturbance(*best, kind_) != Disturbance::none; ++attempt) {
    if (attempt == kMostAttempts || spare_ == 0) {
      ++tally_.kept;
      return best;
    }
    --spare_;
    absl::StatusOr<Sample> next = round();
    ++tally_.taken;
    if (!next.ok()) return next;
    const bool is_better =
        disturbance(*next, kind_) == Disturbance::none || next->load_waited < best->load_waited;
    if (is_better) std::swap(best, next);
    discard(*next);
  }
  return best;
}

void CalmRounds::discard(const Sample& sample) {
  ++(disturbance(sample, kind_) == Disturbance::load_waited ? tally_.waited : tally_.limited);
}

}  // namespace epore::bench
