#include "tests/bench/rounds.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/bench/affinity.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/histogram.h"
#include "tests/bench/load.h"
#include "tests/bench/sample.h"

namespace epore::bench {
namespace {

double microseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

Sample make_sample(const LoadResult& load, const CpuTime& server) {
  const auto messages = static_cast<double>(load.messages);
  return {
      .messages = load.messages,
      .rate = load.rate,
      .p50_us = microseconds(load.latency.quantile(0.5)),
      .p99_us = microseconds(load.latency.quantile(0.99)),
      .p999_us = microseconds(load.latency.quantile(0.999)),
      .cpu_ns = absl::ToDoubleNanoseconds(server.ran) / messages,
      .server_busy = absl::FDivDuration(server.ran, load.elapsed),
      .load_busy = absl::FDivDuration(load.cpu.ran, load.elapsed),
      .server_waited = absl::FDivDuration(server.waited, load.elapsed),
      .load_waited = absl::FDivDuration(load.cpu.waited, load.elapsed),
  };
}

absl::StatusOr<Sample> run_round(const EchoServer& server, int connections,
                                 const RoundsOptions& options) {
  absl::StatusOr<std::unique_ptr<Load>> load = Load::connect(
      server.endpoint(),
      {.connections = connections, .message_size = options.message_size, .depth = options.depth});
  if (!load.ok()) return load.status();
  absl::StatusOr<LoadResult> warm = (*load)->run({.duration = options.round / 5});
  if (!warm.ok()) return warm.status();

  const absl::StatusOr<CpuTime> before = server.cpu_time();
  if (!before.ok()) return before.status();
  absl::StatusOr<LoadResult> result = (*load)->run({.duration = options.round});
  if (!result.ok()) return result.status();
  const absl::StatusOr<CpuTime> after = server.cpu_time();
  if (!after.ok()) return after.status();
  return make_sample(*result, *after - *before);
}

// A failed round is more often the fault of a dead server than of the load.
absl::Status explain(const absl::Status& status, EchoServer& server, int connections) {
  const absl::Status alive = server.check_alive(absl::Milliseconds(200));
  if (!alive.ok()) return alive;
  return absl::Status(status.code(), absl::StrCat("server ", server.label(), ", ", connections,
                                                  " connections: ", status.message()));
}

}  // namespace

absl::Status RoundsOptions::check() const {
  if (contenders.empty()) return absl::InvalidArgumentError("there must be a contender");
  if (connections.empty()) return absl::InvalidArgumentError("there must be a connection count");
  if (rounds < 1) return absl::InvalidArgumentError("there must be a round");
  if (round < absl::Milliseconds(1) || round > absl::Hours(1)) {
    return absl::InvalidArgumentError("a round must take a millisecond to an hour");
  }
  for (const int count : connections) {
    const LoadOptions load = {.connections = count, .message_size = message_size, .depth = depth};
    if (absl::Status status = load.check(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<RoundsResult> run_rounds(const RoundsOptions& options, RoundsProgress progress) {
  if (absl::Status status = options.check(); !status.ok()) return status;
  RoundsResult result = {
      .options = options, .cores = CorePlan::make(), .contenders = {}, .workloads = {}};
  const ScopedPin pin(result.cores.load);
  if (!pin.status().ok()) return pin.status();

  std::vector<std::optional<EchoServer>> servers;
  for (const ContenderSpec& spec : options.contenders) {
    absl::StatusOr<EchoServer> server = EchoServer::start(spec, result.cores.server);
    if (server.ok()) {
      result.contenders.push_back({.spec = spec, .version = server->version(), .skipped = {}});
      servers.emplace_back(*std::move(server));
    } else if (absl::IsUnimplemented(server.status())) {
      result.contenders.push_back(
          {.spec = spec, .version = {}, .skipped = std::string(server.status().message())});
      servers.emplace_back();
    } else {
      return server.status();
    }
  }

  const std::size_t total =
      options.connections.size() * static_cast<std::size_t>(options.rounds) * servers.size();
  std::size_t done = 0;
  for (const int connections : options.connections) {
    Workload& workload = result.workloads.emplace_back();
    workload.connections = connections;
    workload.samples.resize(servers.size());
    for (int round = 0; round < options.rounds; ++round) {
      for (std::size_t turn = 0; turn < servers.size(); ++turn, ++done) {
        // Everyone has everyone before it in some round.
        const std::size_t index = (turn + static_cast<std::size_t>(round)) % servers.size();
        if (!servers[index]) continue;
        EchoServer& server = *servers[index];
        progress(absl::StrCat(connections, connections == 1 ? " connection" : " connections",
                              ", round ", round + 1, " of ", options.rounds, ": ", server.label()),
                 static_cast<double>(done) / static_cast<double>(total));
        absl::StatusOr<Sample> sample = run_round(server, connections, options);
        if (!sample.ok()) return explain(sample.status(), server, connections);
        workload.samples[index].push_back(*sample);
      }
    }
  }
  for (std::optional<EchoServer>& server : servers) {
    if (!server) continue;
    if (absl::Status status = server->stop(); !status.ok()) return status;
  }
  return result;
}

}  // namespace epore::bench
