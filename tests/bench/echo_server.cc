#include "tests/bench/echo_server.h"

#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "tests/bench/affinity.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/leaked_servers.h"
#include "tests/bench/process.h"
#include "tests/bench/programs.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(30);
constexpr absl::Duration kStopTimeout = absl::Seconds(30);

}  // namespace

absl::StatusOr<EchoServer> EchoServer::start(const ContenderSpec& spec, int core) {
  absl::StatusOr<std::string> program = find_program(absl::StrCat("echo_", spec.name));
  if (!program.ok()) return program.status();
  std::vector<std::string> command = {*program, absl::StrCat("--parent=", ::getpid())};
  command.insert(command.end(), spec.flags.begin(), spec.flags.end());

  // A child inherits the affinity, so that its first thread already runs where it should.
  std::optional<ScopedPin> pin;
  if (core >= 0) pin.emplace(core);
  if (pin && !pin->status().ok()) return pin->status();
  absl::StatusOr<Process> process = Process::spawn(command);
  pin.reset();
  if (!process.ok()) return process.status();

  EchoServer server(spec.label, *std::move(process));
  if (absl::Status status = server.read_announcement(); !status.ok()) {
    return server.with_label(status);
  }
  if (absl::Status status = check_sole_listener(server.endpoint(), server.pid()); !status.ok()) {
    return server.with_label(status);
  }
  return server;
}

EchoServer::EchoServer(std::string label, Process process)
    : label_(std::move(label)), process_(std::move(process)) {}

absl::Status EchoServer::read_announcement() {
  absl::StatusOr<std::string> line = process_.read_line(kStartTimeout);
  if (!line.ok()) return line.status();
  std::string_view text = *line;
  if (absl::ConsumePrefix(&text, "SKIP ")) return absl::UnimplementedError(text);
  if (!absl::ConsumePrefix(&text, "LISTEN ")) {
    return absl::InternalError(absl::StrCat("printed \"", text, "\" instead of LISTEN HOST:PORT"));
  }
  absl::StatusOr<Endpoint> endpoint = Endpoint::parse(text);
  if (!endpoint.ok()) return endpoint.status();
  endpoint_ = *endpoint;

  line = process_.read_line(kStartTimeout);
  if (!line.ok()) return line.status();
  version_ = std::string(absl::StripPrefix(*line, "VERSION "));
  return absl::OkStatus();
}

absl::StatusOr<CpuTime> EchoServer::cpu_time() const {
  absl::StatusOr<CpuTime> time = process_cpu_time(pid());
  if (!time.ok()) return with_label(time.status());
  return time;
}

absl::Status EchoServer::check_alive(absl::Duration grace) {
  return with_label(process_.check_alive(grace));
}

absl::Status EchoServer::stop() { return with_label(process_.stop(kStopTimeout)); }

absl::Status EchoServer::with_label(const absl::Status& status) const {
  if (status.ok() || absl::IsUnimplemented(status)) return status;
  return absl::Status(status.code(), absl::StrCat("server ", label_, ": ", status.message()));
}

}  // namespace epore::bench
