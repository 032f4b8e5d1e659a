#ifndef EPORE_EXAMPLES_DEMO_SCENARIO_H_
#define EPORE_EXAMPLES_DEMO_SCENARIO_H_

#include "absl/status/status.h"
#include "examples/acceptance_scenario.h"
#include "examples/terminal.h"

namespace examples {

// The first half of the demo: plays the acceptance scenario and shows its answers on a time line,
// as they come. An error if one of them was wrong or missing.
absl::Status show_scenario(Terminal& terminal, const ScenarioOptions& options);

}  // namespace examples

#endif  // EPORE_EXAMPLES_DEMO_SCENARIO_H_
