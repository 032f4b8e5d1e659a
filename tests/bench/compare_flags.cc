#include "tests/bench/compare_flags.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/rounds.h"

namespace epore::bench {
namespace {

constexpr int kMaxConnections = 1'000'000;

absl::Status bad_flag(std::string_view name, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--", name, ": ", why));
}

}  // namespace

absl::StatusOr<std::vector<int>> parse_connections(std::string_view text) {
  std::vector<int> counts;
  for (const std::string_view part : absl::StrSplit(text, ',')) {
    int count = 0;
    if (!absl::SimpleAtoi(part, &count) || count < 1 || count > kMaxConnections) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", part, "\" is no number from 1 to ", kMaxConnections));
    }
    counts.push_back(count);
  }
  return counts;
}

absl::StatusOr<RoundsOptions> make_rounds_options(const CompareFlags& flags) {
  RoundsOptions options;
  absl::StatusOr<std::vector<ContenderSpec>> contenders = parse_contenders(flags.contenders);
  if (!contenders.ok()) return bad_flag("contenders", contenders.status().message());
  options.contenders = *std::move(contenders);
  absl::StatusOr<std::vector<int>> connections = parse_connections(flags.connections);
  if (!connections.ok()) return bad_flag("connections", connections.status().message());
  options.connections = *std::move(connections);
  if (flags.rounds < 1) return bad_flag("rounds", "must be at least 1");
  if (!(flags.seconds >= 0.001 && flags.seconds <= 3600)) {
    return bad_flag("seconds", "must be from 0.001 to 3600");
  }
  if (flags.size < 1) return bad_flag("size", "must be at least 1");
  if (flags.depth < 1) return bad_flag("depth", "must be at least 1");
  options.rounds = flags.quick ? std::min(flags.rounds, 3) : flags.rounds;
  options.round = absl::Seconds(flags.quick ? std::min(flags.seconds, 0.2) : flags.seconds);
  options.message_size = static_cast<std::size_t>(flags.size);
  options.depth = flags.depth;
  if (absl::Status status = options.check(); !status.ok()) return status;
  return options;
}

}  // namespace epore::bench
