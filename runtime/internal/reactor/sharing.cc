#include "epore/runtime/internal/reactor/sharing.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace epore::internal {

void Sharing::estimate(std::int64_t now) {
  Cost& cost = costs_[static_cast<std::size_t>(source_)];
  const std::int64_t mean = (now - window_began_) / window_runs_;
  cost.lower = std::min(mean, std::exchange(cost.last, mean));
  begin(now);
}

std::size_t Sharing::part_of(Source source, std::size_t runs, std::int64_t now) const {
  if (!is_worth(source, runs, now)) return 0;
  const std::int64_t work = cost_of(source).lower * static_cast<std::int64_t>(runs);
  const std::int64_t sharers = std::clamp<std::int64_t>(work / kWorth, 0, helpers_);
  const std::size_t own = runs / static_cast<std::size_t>(sharers + 1);
  return runs - std::min(runs, std::max<std::size_t>(own, 1));
}

bool Sharing::helped(SharedTime time, std::int64_t now) {
  helped_.add(time);
  if (helped_.cpu + helped_.asleep < kJudged) return now >= pause_ends_;
  if (helped_.asleep > helped_.cpu / 4) {
    pause_ends_ = now + pause_;
    pause_ = std::min(2 * pause_, kLongestPause);
    shorter_at_ = pause_ends_ + pause_ / 2;
  } else if (now >= shorter_at_) {
    pause_ = std::max(pause_ / 2, kFirstPause);
    shorter_at_ = now + pause_;
  }
  helped_ = {};
  return now >= pause_ends_;
}

}  // namespace epore::internal
