#include "epore/runtime/within.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <new>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/deadline.h"

namespace epore::internal {
namespace {

constexpr std::array<absl::Duration, 4> kUnits = {absl::Nanoseconds(1), absl::Microseconds(1),
                                                  absl::Milliseconds(1), absl::Seconds(1)};

}  // namespace

void LimitScope::open(TaskNode& node) {
  up = node.scope;
  chain = node.scope->chain;
  node.scope = this;
  if (at_ == kNever) return;
  if (!stop.ok()) [[unlikely]]
    stop = absl::OkStatus();  // of an earlier co_await, for one that has a name
  if (has_time_) {
    if (at_ > chain->home().now()) return;
  } else if (at_ > 0) {
    if (count_ != 0) [[unlikely]]
      at_ = absl::ToInt64Nanoseconds(limit());  // likewise
    note_limit(at_);
    at_ = saturating_add(chain->home().now(), at_);
    return;
  }
  due();
}

void LimitScope::suspended() {
  if (at_ == kNever || !stop.ok()) return;
  is_armed_ = true;
  chain->home().arm(*this, at_);
}

void LimitScope::disarm() {
  is_armed_ = false;
  chain->home().disarm(*this);
}

void LimitScope::due() {
  is_armed_ = false;
  internal::stop(*this, describe());
}

void LimitScope::note_limit(std::int64_t limit) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  unit_ = 0;
  while (limit > kMost && unit_ < kUnits.size() - 1) {
    limit /= 1000;
    ++unit_;
  }
  count_ = static_cast<std::uint32_t>(std::min(limit, kMost));
}

absl::Duration LimitScope::limit() const { return count_ * kUnits[unit_]; }

absl::Status LimitScope::describe() const noexcept {
  constexpr absl::StatusCode kCode = absl::StatusCode::kDeadlineExceeded;
  const Operation* const leaf = chain->leaf;
  try {
    return absl::Status(
        kCode, absl::StrCat(has_time_ ? "at()" : "within(",
                            has_time_ ? std::string() : absl::FormatDuration(limit()) + ")",
                            ": the time is over", leaf != nullptr ? ", in " : "",
                            leaf != nullptr ? leaf->name() : ""));
  } catch (const std::bad_alloc&) {
    return absl::Status(kCode, "");  // allocates nothing
  }
}

}  // namespace epore::internal
