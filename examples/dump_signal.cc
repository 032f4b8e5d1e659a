#include "examples/dump_signal.h"

#include <signal.h>

#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/runtime.h"

namespace examples {

absl::Status dump_on_signal(epore::Runtime& runtime) {
  return runtime.on_signal(SIGUSR1, [&runtime] {
    std::fprintf(stderr, "%s\n", runtime.counters().to_json().c_str());
    const absl::StatusOr<std::string> tasks = runtime.dump_tasks();
    std::fputs(tasks.ok() ? tasks->c_str() : tasks.status().ToString().c_str(), stderr);
    const absl::StatusOr<std::string> connections = runtime.dump_connections();
    std::fputs(connections.ok() ? connections->c_str() : connections.status().ToString().c_str(),
               stderr);
  });
}

}  // namespace examples
