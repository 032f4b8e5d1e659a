#include "epore/runtime/within.h"

#include <cstdint>
#include <new>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/deadline.h"

namespace epore::internal {

void LimitScope::open(TaskNode& node) {
  up = node.scope;
  chain = node.scope->chain;
  node.scope = this;
  at_ = kNever;
  if (is_shield) return;
  if (has_time_) {
    at_ = limit_;
    if (at_ > chain->home().now()) return;
  } else if (limit_ > 0) {
    if (limit_ != kNever) at_ = saturating_add(chain->home().now(), limit_);
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

absl::Duration LimitScope::duration() const {
  return limit_ == kNever ? absl::InfiniteDuration() : absl::Nanoseconds(limit_);
}

absl::Status LimitScope::describe() const noexcept {
  constexpr absl::StatusCode kCode = absl::StatusCode::kDeadlineExceeded;
  const Operation* const leaf = chain->leaf;
  try {
    return absl::Status(
        kCode, absl::StrCat(has_time_ ? "at()" : "within(",
                            has_time_ ? std::string() : absl::FormatDuration(duration()) + ")",
                            ": the time is over", leaf != nullptr ? ", in " : "",
                            leaf != nullptr ? leaf->name() : ""));
  } catch (const std::bad_alloc&) {
    return absl::Status(kCode, "");  // allocates nothing
  }
}

}  // namespace epore::internal
