#include "tests/bench/echo_comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/leaked_servers.h"
#include "tests/bench/rounds.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {
namespace {

struct Participant {
  std::string_view contender;
  std::string_view name;
};
// epore as it is without flags, then threads that share, each beside its like.
constexpr Participant kParticipants[] = {{"epoll", "epoll loop"},
                                         {"epore", "epore"},
                                         {"asio", "Boost.Asio, 1 thread"},
                                         {"epore:dispatch=workers:workers=2", "epore, 2 workers"},
                                         {"asio:threads=2", "Boost.Asio, 2 threads"}};

RoundsOptions plan(const EchoComparisonOptions& options) {
  RoundsOptions plan;
  for (const Participant& participant : kParticipants) {
    plan.contenders.push_back(ContenderSpec::parse(participant.contender).value());
  }
  plan.connections = {options.connections};
  plan.message_size = options.message_size;
  // A round and its warm-up take 1.2 rounds; starting and connecting take a little as well. Half as
  // many rounds may be taken again.
  constexpr absl::Duration kUsualRound = absl::Milliseconds(100);
  const absl::Duration each = options.duration / std::size(kParticipants) / 1.25 / 1.5;
  plan.rounds = std::clamp(static_cast<int>(each / kUsualRound), 3, 21);
  plan.round = each / plan.rounds;
  return plan;
}

EchoRow make_row(std::string_view name, const Contender& contender,
                 const std::vector<Sample>& samples) {
  const auto median = [&](double Sample::*value) {
    return quartiles(values(samples, value)).median;
  };
  const Quartiles cpu = quartiles(values(samples, &Sample::cpu_ns));
  EchoRow row;
  row.name = std::string(name);
  row.version = contender.version;
  row.skipped = contender.skipped;
  row.rate = median(&Sample::rate);
  row.p50 = absl::Microseconds(median(&Sample::p50_us));
  row.p99 = absl::Microseconds(median(&Sample::p99_us));
  row.cpu_ns_per_message = cpu.median;
  row.cpu_ns_low = cpu.low;
  row.cpu_ns_high = cpu.high;
  return row;
}

}  // namespace

std::string race_result(const EchoRow& ours, const EchoRow& theirs) {
  if (ours.cpu_ns_per_message <= 0 || theirs.cpu_ns_per_message <= 0) return "";
  const bool do_overlap =
      ours.cpu_ns_low <= theirs.cpu_ns_high && theirs.cpu_ns_low <= ours.cpu_ns_high;
  if (do_overlap) {
    return absl::StrCat(ours.name, " and ", theirs.name, ": no difference, their rounds overlap");
  }
  const double more = theirs.cpu_ns_per_message / ours.cpu_ns_per_message - 1;
  return absl::StrFormat("%s: %.0f%% %s messages in a CPU second than %s", ours.name,
                         100 * std::abs(more), more > 0 ? "more" : "fewer", theirs.name);
}

absl::StatusOr<EchoComparison> run_echo_comparison(const EchoComparisonOptions& options,
                                                   EchoProgress progress) {
  if (options.duration < absl::Milliseconds(100)) {
    return absl::InvalidArgumentError("an echo comparison takes at least 100 ms");
  }
  if (absl::Status status = check_no_leaked_server(); !status.ok()) return status;
  const absl::StatusOr<RoundsResult> result = run_rounds(plan(options), progress);
  if (!result.ok()) return result.status();
  EchoComparison comparison;
  comparison.rounds = result->options.rounds;
  comparison.tally = result->tally().to_string();
  for (std::size_t i = 0; i < std::size(kParticipants); ++i) {
    comparison.rows.push_back(
        make_row(kParticipants[i].name, result->contenders[i], result->workloads[0].samples[i]));
  }
  if (result->cores.is_shared()) {
    comparison.note = "only one core may be used: server and load share it";
  }
  return comparison;
}

}  // namespace epore::bench
