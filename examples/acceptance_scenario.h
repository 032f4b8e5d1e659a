#ifndef EPORE_EXAMPLES_ACCEPTANCE_SCENARIO_H_
#define EPORE_EXAMPLES_ACCEPTANCE_SCENARIO_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/runtime/counters.h"

namespace examples {

// Twelve worker threads, each starting five requests over one reactor while that one waits: request
// i of each asks a delay server for /{i*1000}/HelloWorld{i}, so all are answered after four
// seconds.
struct ScenarioOptions {
  std::string address;  // of the delay server
  int workers = 12;
  int requests = 5;  // of each worker
  absl::Duration step = absl::Seconds(1);
};

struct ScenarioAnswer {
  int worker = 0;
  int request = 0;
  absl::Duration asked;  // the delay
  absl::Duration taken;  // from connecting to the last byte
  absl::Status status;   // not ok: what went wrong instead
};

struct ScenarioResult {
  int answered = 0;
  int failed = 0;
  absl::Duration taken;  // from the first start to the last answer
  epore::Counters counters;
};

// Blocks until every request has come to its end. `on_answer` is called as they do, from threads of
// the scenario, one call at a time. An error: the runtime could not start.
absl::StatusOr<ScenarioResult> run_acceptance_scenario(
    const ScenarioOptions& options, absl::FunctionRef<void(const ScenarioAnswer&)> on_answer);

}  // namespace examples

#endif  // EPORE_EXAMPLES_ACCEPTANCE_SCENARIO_H_
