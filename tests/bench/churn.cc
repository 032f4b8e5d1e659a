// Many short connections, and what the server holds before, meanwhile and afterwards: see README.md
// in this folder.

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tests/bench/clock.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/leaked_servers.h"
#include "tests/bench/process_usage.h"
#include "tests/bench/short_connections.h"
#include "tests/bench/tcp.h"

ABSL_FLAG(std::int64_t, connections, 1'000'000, "how many in all");
ABSL_FLAG(int, parallel, 50, "how many at a time");
ABSL_FLAG(std::int64_t, size, 64, "bytes of the message that each sends");
ABSL_FLAG(bool, reset, false, "clients end with a reset instead of in peace");
ABSL_FLAG(std::string, server, "epore",
          "the server to start, NAME:FLAG=VALUE:... as for compare; not with --address");
ABSL_FLAG(std::string, address, "", "of a server that runs already, HOST:PORT; needs --pid");
ABSL_FLAG(int, pid, 0, "process of the server at --address");

namespace epore::bench {
namespace {

// What the server holds once it has seen the ends of all connections, which it may a little later
// than the clients: when a number of looks in a row agree, or what there is after two seconds.
absl::StatusOr<ProcessUsage> settled_usage(pid_t pid) {
  int descriptors = -1;
  int agreeing = 0;
  const auto is_settled = [&](const ProcessUsage& usage) {
    agreeing =
        std::exchange(descriptors, usage.descriptors) == usage.descriptors ? agreeing + 1 : 0;
    return agreeing == 20;
  };
  absl::StatusOr<ProcessUsage> usage = ProcessUsage::await(pid, is_settled, absl::Seconds(2));
  return absl::IsDeadlineExceeded(usage.status()) ? ProcessUsage::of(pid) : usage;
}

void print_row(std::uint64_t done, double rate, const ProcessUsage& usage) {
  absl::PrintF("%12d  %13.0f  %11d  %7d  %8d  %8d\n", done, rate, usage.descriptors, usage.threads,
               usage.rss_kib, usage.uss_kib);
  std::fflush(stdout);
}

absl::Status churn(const Endpoint& server, pid_t pid) {
  const std::int64_t wanted = absl::GetFlag(FLAGS_connections);
  if (wanted < 1) return absl::InvalidArgumentError("--connections: must be at least 1");
  const auto total = static_cast<std::uint64_t>(wanted);
  absl::StatusOr<std::unique_ptr<ShortConnections>> clients = ShortConnections::make(
      server, {.parallel = absl::GetFlag(FLAGS_parallel),
               .message_size =
                   static_cast<std::size_t>(std::max<std::int64_t>(0, absl::GetFlag(FLAGS_size))),
               .end = absl::GetFlag(FLAGS_reset) ? ConnectionEnd::reset : ConnectionEnd::graceful});
  if (!clients.ok()) return clients.status();

  absl::PrintF(" connections  connections/s  descriptors  threads   RSS KiB   USS KiB\n");
  absl::StatusOr<ProcessUsage> first = settled_usage(pid);
  if (!first.ok()) return first.status();
  print_row(0, 0, *first);
  std::optional<ProcessUsage> warm;  // after the first twentieth, when it has what it needs
  ProcessUsage last;
  std::uint64_t done = 0;
  // Closer at the beginning, where a server still grows to its working size.
  for (const int percent : {1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100}) {
    const std::uint64_t target = total * static_cast<std::uint64_t>(percent) / 100;
    if (target == done) continue;
    const std::uint64_t start = now_ns();
    if (absl::Status status = (*clients)->run(target - done); !status.ok()) return status;
    const double rate =
        static_cast<double>(target - done) * 1e9 / static_cast<double>(now_ns() - start);
    done = target;
    const absl::StatusOr<ProcessUsage> usage = settled_usage(pid);
    if (!usage.ok()) return usage.status();
    print_row(done, rate, *usage);
    if (percent == 5) warm = *usage;
    last = *usage;
  }
  if (!warm) warm = last;
  absl::PrintF("descriptors: %d before, %d after\nUSS KiB: %d before, %d after 5%%, %d after all\n",
               first->descriptors, last.descriptors, first->uss_kib, warm->uss_kib, last.uss_kib);
  return absl::OkStatus();
}

absl::Status run() {
  const std::string address = absl::GetFlag(FLAGS_address);
  const pid_t pid = absl::GetFlag(FLAGS_pid);
  if (address.empty() != (pid == 0)) {
    return absl::InvalidArgumentError("--address and --pid: give both or neither");
  }
  if (!address.empty()) {
    const absl::StatusOr<Endpoint> endpoint = Endpoint::parse(address);
    if (!endpoint.ok()) return endpoint.status();
    if (absl::Status status = check_sole_listener(*endpoint, pid); !status.ok()) return status;
    return churn(*endpoint, pid);
  }
  const absl::StatusOr<ContenderSpec> spec = ContenderSpec::parse(absl::GetFlag(FLAGS_server));
  if (!spec.ok()) return spec.status();
  absl::StatusOr<EchoServer> server = EchoServer::start(*spec, /*core=*/-1);
  if (!server.ok()) return server.status();
  absl::PrintF("%s (%s)\n", server->label(), server->version());
  if (absl::Status status = churn(server->endpoint(), server->pid()); !status.ok()) {
    const absl::Status alive = server->check_alive(absl::Milliseconds(200));
    return alive.ok() ? status : alive;
  }
  return server->stop();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Connects, sends a message, reads its echo and goes, very often, and prints what the server "
      "holds.\n\n"
      "  bazel run -c opt //tests/bench:churn -- --connections=100000\n");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  const absl::Status status =
      rest.size() > 1 ? absl::InvalidArgumentError(absl::StrCat("unexpected argument: ", rest[1]))
                      : epore::bench::run();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "error: %s\n", status.message());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
