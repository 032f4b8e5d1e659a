#include "epore/runtime/until.h"

#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/task/wait_list.h"

namespace epore::internal {
namespace {

absl::Status requested() {
  return make_error(absl::StatusCode::kCancelled, "until(): a stop was requested");
}

}  // namespace

bool StopTokenWait::begin(TaskNode& node) {
  if (ends_with_stop(node) || token_.stop_requested()) return true;
  node_ = &node;
  wait(node);
  is_waiting_.store(true, std::memory_order_relaxed);
  callback_.emplace(token_, Callback{this});  // which may call it at once
  return false;
}

// Acquire and release: the callback sees node_, and the one that comes too late nothing.
void StopTokenWait::end(absl::Status status) {
  if (!is_waiting_.exchange(false, std::memory_order_acq_rel)) return;
  Trampoline::complete(*node_, std::move(status));
}

bool UntilJoin::is_over(TaskNode& node) const {
  if (ends_with_stop(node)) return true;
  if (!token_.stop_requested()) return false;
  node.status = requested();
  return true;
}

void UntilJoin::begin_watch() {
  add(watch_);
  if (watch_.begin()) ended_at_once(watch_);
}

void UntilJoin::decide(JoinChild& child) {
  if (&child != &watch_) {
    result_ = child.status;
    stop_children(make_error(absl::StatusCode::kCancelled, "until() has ended"));
  } else if (child.status.ok()) {  // otherwise what is inside has ended, or is stopped as well
    stop_children(requested());
  }
}

}  // namespace epore::internal
