#include "tests/bench/echo_comparison.h"

#include "absl/status/status.h"

namespace epore::bench {

absl::StatusOr<EchoComparison> run_echo_comparison(const EchoComparisonOptions&, EchoProgress) {
  return absl::UnimplementedError("the echo comparison is not built yet");
}

}  // namespace epore::bench
