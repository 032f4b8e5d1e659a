#include "tests/bench/rounds.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/bench/affinity.h"
#include "tests/bench/calm_rounds.h"
#include "tests/bench/contender_set.h"
#include "tests/bench/echo_round.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/load.h"
#include "tests/bench/sample.h"

namespace epore::bench {

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

RoundTally RoundsResult::tally() const {
  RoundTally sum;
  for (const Workload& workload : workloads) sum.add(workload.tally);
  return sum;
}

absl::StatusOr<RoundsResult> run_rounds(const RoundsOptions& options, RoundsProgress progress) {
  if (absl::Status status = options.check(); !status.ok()) return status;
  RoundsResult result = {
      .options = options, .cores = CorePlan::make(), .contenders = {}, .workloads = {}};
  const ScopedPin pin(result.cores.load);
  if (!pin.status().ok()) return pin.status();

  const LoadKind kind = {.has_own_core = !result.cores.is_shared()};
  absl::StatusOr<ContenderSet> set = ContenderSet::start(options.contenders, result.cores.server);
  if (!set.ok()) return set.status();
  result.contenders = set->contenders();

  const std::size_t total =
      options.connections.size() * static_cast<std::size_t>(options.rounds) * set->size();
  std::size_t done = 0;
  for (const int connections : options.connections) {
    const LoadOptions load = {
        .connections = connections, .message_size = options.message_size, .depth = options.depth};
    const std::string what =
        absl::StrCat(connections, connections == 1 ? " connection" : " connections");
    Workload& workload = result.workloads.emplace_back();
    workload.connections = connections;
    workload.samples.resize(set->size());
    CalmRounds rounds(options.rounds * static_cast<int>(set->size()), kind);
    for (int round = 0; round < options.rounds; ++round) {
      for (std::size_t turn = 0; turn < set->size(); ++turn, ++done) {
        const std::size_t index = set->in_turn(round, turn);
        EchoServer* const server = set->server(index);
        if (server == nullptr) continue;
        progress(absl::StrCat(what, ", round ", round + 1, " of ", options.rounds, ": ",
                              server->label()),
                 static_cast<double>(done) / static_cast<double>(total));
        absl::StatusOr<Sample> sample =
            rounds.take([&] { return run_echo_round(*server, load, options.round); });
        if (!sample.ok()) return explain(sample.status(), *server, what);
        workload.samples[index].push_back(*sample);
      }
    }
    workload.tally = rounds.tally();
  }
  if (absl::Status status = set->stop(); !status.ok()) return status;
  return result;
}

}  // namespace epore::bench
