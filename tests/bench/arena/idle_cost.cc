#include "tests/bench/arena/idle_cost.h"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/load.h"
#include "tests/bench/process_usage.h"

namespace epore::bench {
namespace {

absl::Status measure(EchoServer& server, const IdleOptions& options, IdleCost& cost) {
  // What it needs for a first connection, it needs once.
  const auto echo_on = [&](int connections) -> absl::StatusOr<std::unique_ptr<Load>> {
    absl::StatusOr<std::unique_ptr<Load>> load =
        Load::connect(server.endpoint(), {.connections = connections});
    if (!load.ok()) return load;
    const auto result = (*load)->run({.messages = static_cast<std::uint64_t>(connections)});
    if (!result.ok()) return result.status();
    return load;
  };
  const absl::StatusOr<std::unique_ptr<Load>> first = echo_on(50);
  if (!first.ok()) return first.status();
  const absl::StatusOr<ProcessUsage> before = ProcessUsage::of(server.pid());
  if (!before.ok()) return before.status();
  const absl::StatusOr<std::unique_ptr<Load>> load = echo_on(options.connections);
  if (!load.ok()) return load.status();
  const absl::StatusOr<ProcessUsage> after = ProcessUsage::of(server.pid());
  if (!after.ok()) return after.status();
  cost.bytes_per_connection =
      static_cast<double>(after->uss_kib - before->uss_kib) * 1024 / options.connections;

  // Threads that helped may take a moment until they sleep.
  if (absl::Status alive = server.check_alive(options.window / 5); !alive.ok()) return alive;
  const absl::StatusOr<std::uint64_t> switches = context_switches(server.pid());
  if (!switches.ok()) return switches.status();
  if (absl::Status alive = server.check_alive(options.window); !alive.ok()) return alive;
  const absl::StatusOr<std::uint64_t> switches_after = context_switches(server.pid());
  if (!switches_after.ok()) return switches_after.status();
  cost.wakeups_per_minute = static_cast<double>(*switches_after - *switches) *
                            absl::FDivDuration(absl::Minutes(1), options.window);
  return absl::OkStatus();
}

}  // namespace

IdleCost measure_idle(const ContenderSpec& spec, const IdleOptions& options) {
  IdleCost cost;
  ContenderSpec with_timeout = spec;
  with_timeout.flags.push_back(
      absl::StrCat("--idle_timeout_s=", absl::ToDoubleSeconds(options.timeout)));
  absl::StatusOr<EchoServer> server = EchoServer::start(with_timeout, options.core);
  cost.has_timeout = server.ok();
  if (absl::IsUnimplemented(server.status())) server = EchoServer::start(spec, options.core);
  absl::Status status = server.status();
  if (server.ok()) {
    cost.version = server->version();
    status = measure(*server, options, cost);
    if (status.ok()) status = server->stop();
  }
  cost.absence = {.why = std::string(status.message()),
                  .is_failure = !status.ok() && !absl::IsUnimplemented(status)};
  return cost;
}

absl::StatusOr<std::uint64_t> context_switches(pid_t pid) {
  std::uint64_t sum = 0;
  std::error_code error;
  const std::string tasks = absl::StrCat("/proc/", pid, "/task");
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::ifstream status(task.path() / "status");
    std::string word;
    while (status >> word) {
      std::uint64_t count = 0;
      if (word == "voluntary_ctxt_switches:" || word == "nonvoluntary_ctxt_switches:") {
        status >> count;
        sum += count;
      }
    }
  }
  if (error) return absl::NotFoundError(absl::StrCat("cannot read ", tasks));
  return sum;
}

}  // namespace epore::bench
