#include "epore/runtime/within.h"

#include <chrono>
#include <cstdint>

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
  if (at_ != Instant::min()) {
    deadline_ =
        std::chrono::duration_cast<std::chrono::nanoseconds>(at_.time_since_epoch()).count();
    if (deadline_ > scope_.chain->home().now()) return;
  } else {
    const std::int64_t limit = absl::ToInt64Nanoseconds(duration_);
    if (limit > 0) {
      if (limit != kNever) deadline_ = saturating_add(scope_.chain->home().now(), limit);
      return;
    }
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
  Operation* const leaf = scope_.chain->leaf;
  stop(scope_,
       absl::DeadlineExceededError(absl::StrCat(
           at_ == Instant::min() ? absl::StrCat("within(", absl::FormatDuration(duration_), ")")
                                 : std::string("at()"),
           ": the time is over", leaf != nullptr ? absl::StrCat(", in ", leaf->name()) : "")));
}

}  // namespace epore::internal
