#include "tests/bench/echo_round.h"

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/echo_server.h"
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

}  // namespace

absl::StatusOr<Sample> measure(const EchoServer& server,
                               absl::FunctionRef<absl::StatusOr<LoadResult>()> load) {
  const absl::StatusOr<CpuTime> before = server.cpu_time();
  if (!before.ok()) return before.status();
  const absl::StatusOr<LoadResult> result = load();
  if (!result.ok()) return result.status();
  const absl::StatusOr<CpuTime> after = server.cpu_time();
  if (!after.ok()) return after.status();
  return make_sample(*result, *after - *before);
}

absl::StatusOr<Sample> run_echo_round(const EchoServer& server, const LoadOptions& options,
                                      absl::Duration round) {
  absl::StatusOr<std::unique_ptr<Load>> load = Load::connect(server.endpoint(), options);
  if (!load.ok()) return load.status();
  absl::StatusOr<LoadResult> warm = (*load)->run({.duration = round / 5});
  if (!warm.ok()) return warm.status();
  return measure(server, [&] { return (*load)->run({.duration = round}); });
}

absl::Status explain(const absl::Status& status, EchoServer& server, std::string_view what) {
  // One that was killed may have lost its connections some time before it has ended.
  const absl::Status alive = server.check_alive(absl::Seconds(5));
  if (!alive.ok()) return alive;
  return absl::Status(status.code(),
                      absl::StrCat("server ", server.label(), ", ", what, ": ", status.message()));
}

}  // namespace epore::bench
