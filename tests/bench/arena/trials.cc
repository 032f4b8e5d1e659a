#include "tests/bench/arena/trials.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/bench/arena/broadcast_load.h"
#include "tests/bench/arena/room_load.h"
#include "tests/bench/arena/slow_neighbour.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/clock.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/echo_round.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/load.h"
#include "tests/bench/sample.h"
#include "tests/bench/short_connections.h"

namespace epore::bench {
namespace {

std::string size_text(std::size_t bytes) {
  return bytes < 1024 ? absl::StrCat(bytes, " B") : absl::StrCat(bytes / 1024, " KiB");
}

std::string load_text(const LoadOptions& load) {
  return absl::StrCat(load.connections, load.connections == 1 ? " connection, " : " connections, ",
                      size_text(load.message_size), ", ", load.depth, " in flight");
}

std::size_t in_flight(const LoadOptions& load) {
  return static_cast<std::size_t>(load.connections) * static_cast<std::size_t>(load.depth) *
         load.message_size;
}

// Of a round: connections open and close, and twice what is in flight comes back.
absl::Duration overhead_of(const LoadOptions& load) {
  constexpr absl::Duration kConnect = absl::Microseconds(80);
  constexpr double kBytesPerSecond = 1e9;
  return absl::Milliseconds(5) + load.connections * kConnect +
         2 * absl::Seconds(static_cast<double>(in_flight(load)) / kBytesPerSecond);
}

Trial echo(const LoadOptions& load) {
  return {.id = absl::StrCat("echo/", load.connections, "x", load.message_size, "x", load.depth),
          .group = "echo",
          .title = load_text(load),
          .measures = {&kCpu, &kRate, &kP50, &kP99, &kP999},
          .overhead = overhead_of(load),
          .run = [load](const EchoServer& server, absl::Duration round) {
            return run_echo_round(server, load, round);
          }};
}

// Messages in flight on a connection of an open loop: enough for a stall of a second.
constexpr int kOpenDepth = 256;

Trial open_loop(int connections, double rate) {
  const LoadOptions load = {.connections = connections, .depth = kOpenDepth, .rate = rate};
  return {.id = absl::StrCat("open/", connections, "@", rate),
          .group = "open",
          .title = absl::StrCat(rate, "/s on ", connections, " connections, 64 B"),
          .measures = {&kP99, &kP50, &kP999, &kCpu},
          .is_closed_loop = false,
          .overhead = overhead_of({.connections = connections}),
          .run = [load](const EchoServer& server, absl::Duration round) {
            return run_echo_round(server, load, round);
          }};
}

// A round of `options` beside the slow neighbour. Its messages are none that count, and what the
// server burns for them is taken off its CPU time: it rests while that is read.
absl::StatusOr<Sample> run_round_beside(const EchoServer& server, const LoadOptions& options,
                                        absl::Duration round) {
  absl::StatusOr<std::unique_ptr<SlowNeighbour>> started = SlowNeighbour::start(server.endpoint());
  if (!started.ok()) return started.status();
  SlowNeighbour& neighbour = **started;
  absl::StatusOr<std::unique_ptr<Load>> load = Load::connect(server.endpoint(), options);
  if (!load.ok()) return load.status();
  absl::StatusOr<LoadResult> warm = (*load)->run({.duration = round / 5});
  if (!warm.ok()) return warm.status();
  if (absl::Status stopped = neighbour.stop(); !stopped.ok()) return stopped;
  const std::uint64_t before = neighbour.messages();
  absl::StatusOr<Sample> sample = measure(server, [&]() -> absl::StatusOr<LoadResult> {
    neighbour.resume();
    absl::StatusOr<LoadResult> result = (*load)->run({.duration = round});
    if (absl::Status stopped = neighbour.stop(); !stopped.ok()) return stopped;
    return result;
  });
  if (!sample.ok()) return sample;
  const double burned = absl::ToDoubleNanoseconds(SlowNeighbour::kBurned) *
                        static_cast<double>(neighbour.messages() - before);
  sample->cpu_ns = std::max(0.0, sample->cpu_ns - burned / static_cast<double>(sample->messages));
  return sample;
}

// `rate`: of an open loop; 0: a closed one.
Trial slow_neighbour(int connections, double rate) {
  const LoadOptions load = {
      .connections = connections, .depth = rate > 0 ? kOpenDepth : 1, .rate = rate};
  const std::string id = absl::StrCat("neighbour/", connections);
  const std::string title = absl::StrCat(connections, " connections beside a slow one");
  return {.id = rate > 0 ? absl::StrCat(id, "@", rate) : id,
          .group = "neighbour",
          .title = rate > 0 ? absl::StrCat(rate, "/s on ", title) : title,
          .cores = Cores::all,
          .measures = {&kP99, &kP50, &kP999, &kRate, &kCpu},
          .overhead = overhead_of({.connections = connections}) + 6 * SlowNeighbour::kBurned,
          .run = [load](const EchoServer& server, absl::Duration round) {
            return run_round_beside(server, load, round);
          }};
}

Trial cpu_heavy(Cores cores) {
  const LoadOptions load = {.connections = 50};
  const bool is_one = cores == Cores::one;
  return {.id = is_one ? "cpu/one_core" : "cpu/all_cores",
          .group = "cpu",
          .title = is_one ? "50 connections, 100 us each, server on one core"
                          : "50 connections, 100 us each, all cores",
          .server_flags = {"--work_us=100"},
          .cores = cores,
          .measures = {&kRate, &kP50, &kP99},
          .overhead = overhead_of(load),
          .run = [load](const EchoServer& server, absl::Duration round) {
            return run_echo_round(server, load, round);
          }};
}

Trial ten_sends() {
  const LoadOptions load = {.connections = 50, .message_size = 640};
  return {.id = "ten_sends/50",
          .group = "ten_sends",
          .title = "50 connections, ten sends of 64 B",
          .server_flags = {"--reply=ten_sends"},
          .measures = {&kCpu, &kRate, &kP50, &kP99},
          .run = [load](const EchoServer& server, absl::Duration round) {
            return run_echo_round(server, load, round);
          }};
}

Trial broadcast(const BroadcastOptions& options) {
  return {
      .id = absl::StrCat("broadcast/", options.connections, "x", options.message_size),
      .group = "broadcast",
      .title =
          absl::StrCat("to ", options.connections, " connections, ", options.message_size, " B"),
      .server_flags = {"--reply=broadcast"},
      .measures = {&kCpu, &kRate, &kP50, &kP99},
      .overhead = overhead_of({.connections = options.connections}),
      .run = [options](const EchoServer& server, absl::Duration round) -> absl::StatusOr<Sample> {
        absl::StatusOr<std::unique_ptr<BroadcastLoad>> load =
            BroadcastLoad::connect(server.endpoint(), options);
        if (!load.ok()) return load.status();
        return measure(server, [&] { return (*load)->run(round); });
      }};
}

Trial room(int members, int talkers) {
  const RoomOptions options = {.members = members, .talkers = talkers};
  // The first ones of the warm-up and the last ones of the round are on their way to everybody.
  constexpr absl::Duration kDelivery = absl::Nanoseconds(2'000);
  return {
      .id = absl::StrCat("room/", members, "x", talkers),
      .group = "room",
      .title = absl::StrCat(members, " members, ", talkers,
                            talkers == 1 ? " talker, 64 B" : " talkers, 64 B"),
      .server_flags = {"--reply=broadcast"},
      .cores = Cores::all,
      .measures = {&kCpu, &kRate, &kP50, &kP99},
      .overhead = overhead_of({.connections = members}) + 2 * members * talkers * kDelivery,
      .run = [options](const EchoServer& server, absl::Duration round) -> absl::StatusOr<Sample> {
        absl::StatusOr<std::unique_ptr<RoomLoad>> load =
            RoomLoad::connect(server.endpoint(), options);
        if (!load.ok()) return load.status();
        absl::StatusOr<LoadResult> warm = (*load)->run(round / 5);
        if (!warm.ok()) return warm.status();
        return measure(server, [&] { return (*load)->run(round); });
      }};
}

absl::StatusOr<LoadResult> churn_for(ShortConnections& clients, absl::Duration duration) {
  constexpr std::uint64_t kAtATime =
      200;  // the tail, when fewer than `parallel` are left, is short
  const CpuTime cpu_before = thread_cpu_time();
  const std::uint64_t start = now_ns();
  const std::uint64_t deadline = deadline_ns(duration);
  LoadResult result;
  do {
    if (absl::Status status = clients.run(kAtATime); !status.ok()) return status;
    result.messages += kAtATime;
  } while (now_ns() < deadline);
  const std::uint64_t elapsed = now_ns() - start;
  result.rate = static_cast<double>(result.messages) * 1e9 / static_cast<double>(elapsed);
  result.elapsed = absl::Nanoseconds(elapsed);
  result.cpu = thread_cpu_time() - cpu_before;
  return result;
}

Trial churn() {
  return {.id = "churn/20",
          .group = "churn",
          .title = "20 at a time, 64 B each",
          .measures = {&kCpu, &kRate},
          .run = [](const EchoServer& server, absl::Duration round) -> absl::StatusOr<Sample> {
            absl::StatusOr<std::unique_ptr<ShortConnections>> clients =
                ShortConnections::make(server.endpoint(), {.parallel = 20});
            if (!clients.ok()) return clients.status();
            absl::StatusOr<LoadResult> warm = churn_for(**clients, round / 5);
            if (!warm.ok()) return warm.status();
            return measure(server, [&] { return churn_for(**clients, round); });
          }};
}

}  // namespace

const std::vector<TrialGroup>& trial_groups() {
  static const auto& groups = *new std::vector<TrialGroup>{
      {"echo", "Echo",
       "Closed loop: a connection sends its next message when one has come back. CPU is what the "
       "server used for a message. Where the load is the limit, rate and latency are the load's, "
       "and CPU is what counts."},
      {"open", "Echo at a constant rate",
       "Open loop: messages are due at a constant rate, and latency counts from when each was due, "
       "whether or not the server kept up."},
      {"neighbour", "A slow neighbour",
       "Beside connections that echo, one connection's callback burns 20 ms of CPU for each of its "
       "messages, one after the other. What is shown is what the others get: in a closed loop, and "
       "at a constant rate, where latency counts from when each message was due. The 20 ms are not "
       "in the CPU. All cores."},
      {"cpu", "CPU-heavy handlers",
       "Each callback burns 100 us of CPU. On all cores a server that uses them answers more."},
      {"ten_sends", "Ten small sends",
       "A message is answered by ten sends of a tenth each, one after the other in one callback."},
      {"broadcast", "Broadcast",
       "A message to one connection goes to all of them; the rate counts what arrives, latency is "
       "until the last one has it."},
      {"room", "A room with a lock",
       "One mutex guards the list of members, and a message of a talker goes to all of them. Each "
       "talker sends its next message when it has its own copy. CPU and rate count deliveries; "
       "latency is until the talker's own copy. All cores."},
      {"churn", "Short connections",
       "Connect, send a message, read its echo, go. The rate counts connections, and so does CPU."},
  };
  return groups;
}

std::vector<Trial> make_trials(bool quick) {
  std::vector<Trial> trials;
  if (quick) {
    for (const int connections : {1, 50, 500}) trials.push_back(echo({.connections = connections}));
    trials.push_back(echo({.connections = 50, .message_size = 4096, .depth = 16}));
    trials.push_back(open_loop(50, 20'000));
  } else {
    for (const std::size_t size : {64, 4096, 65'536}) {
      for (const int depth : {1, 16}) {
        for (const int connections : {1, 50, 500, 2000}) {
          const LoadOptions load = {
              .connections = connections, .message_size = size, .depth = depth};
          if (in_flight(load) <= kMostInFlight) trials.push_back(echo(load));
        }
      }
    }
    for (const double rate : {5'000, 20'000, 40'000}) trials.push_back(open_loop(50, rate));
    trials.push_back(open_loop(500, 20'000));
  }
  trials.push_back(churn());
  trials.push_back(ten_sends());
  trials.push_back(broadcast({.connections = quick ? 200 : 1000, .message_size = 1024}));
  for (const int talkers : {1, 100}) trials.push_back(room(quick ? 200 : 1000, talkers));
  trials.push_back(cpu_heavy(Cores::one));
  trials.push_back(cpu_heavy(Cores::all));
  trials.push_back(slow_neighbour(50, 0));
  trials.push_back(slow_neighbour(50, 10'000));
  return trials;
}

}  // namespace epore::bench
