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
  scope_.up = node.scope;
  scope_.chain = node.scope->chain;
  node.scope = &scope_;
  deadline_ = kNever;
  if (scope_.is_shield) return;
  if (has_time_) {
    deadline_ = limit_;
    if (deadline_ > scope_.chain->home().now()) return;
  } else if (limit_ > 0) {
    if (limit_ != kNever) deadline_ = saturating_add(scope_.chain->home().now(), limit_);
    return;
  }
  due();
}

void LimitScope::suspended() {
  if (deadline_ == kNever || !scope_.stop.ok()) return;
  is_armed_ = true;
  scope_.chain->home().arm(*this, deadline_);
}

void LimitScope::disarm() {
  is_armed_ = false;
  scope_.chain->home().disarm(*this);
}

void LimitScope::due() {
  is_armed_ = false;
  stop(scope_, describe());
}

absl::Duration LimitScope::duration() const {
  return limit_ == kNever ? absl::InfiniteDuration() : absl::Nanoseconds(limit_);
}

absl::Status LimitScope::describe() const noexcept {
  constexpr absl::StatusCode kCode = absl::StatusCode::kDeadlineExceeded;
  const Operation* const leaf = scope_.chain->leaf;
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
