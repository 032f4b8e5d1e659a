#ifndef EPORE_EXAMPLES_DUMP_SIGNAL_H_
#define EPORE_EXAMPLES_DUMP_SIGNAL_H_

#include "absl/status/status.h"
#include "epore/runtime/runtime.h"

namespace examples {

// Lets `runtime` print on stderr whenever SIGUSR1 comes: its counters, as one line of JSON, and
// what each task and each connection waits for. Called before the runtime catches signals.
absl::Status dump_on_signal(epore::Runtime& runtime);

}  // namespace examples

#endif  // EPORE_EXAMPLES_DUMP_SIGNAL_H_
