#ifndef EPORE_EXAMPLES_DEMO_COMPARISON_H_
#define EPORE_EXAMPLES_DEMO_COMPARISON_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/terminal.h"
#include "tests/bench/echo_comparison.h"

namespace examples {

// The second half of the demo: compares echo servers, telling how far it is, and draws the result.
// What was compared is returned, for its versions.
absl::StatusOr<epore::bench::EchoComparison> show_comparison(
    Terminal& terminal, const epore::bench::EchoComparisonOptions& options);

// Draws bars for the rows that have numbers, says why others have none, and who won.
void draw_comparison(Terminal& terminal, const epore::bench::EchoComparison& comparison);

}  // namespace examples

#endif  // EPORE_EXAMPLES_DEMO_COMPARISON_H_
