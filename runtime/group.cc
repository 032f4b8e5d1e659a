#include "epore/runtime/group.h"

#include <atomic>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "epore/runtime/internal/base/caught_exception.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/tell.h"

namespace epore {

using internal::JoinChild;
using internal::TaskNode;

namespace {

constexpr char kMisuse[] =
    "Group::spawn: called elsewhere than in the body or a child of a group that runs";

}  // namespace

TaskNode* internal::GroupChild::ended() {
  TaskNode* const next = join().child_ended(*this);
  delete this;  // with its callable
  return next;
}

TaskNode* Group::Body::ended() { return join().child_ended(*this); }

bool Group::begin_body(TaskNode& node, Task<> body) {
  add(body_);
  body_runs_ = true;
  if (internal::TaskCall<void>(std::move(body)).begin(body_)) ended_at_once(body_);
  return end_begin(node);
}

// The body is a callable that threw instead of making a coroutine. It may have spawned before.
bool Group::fail_to_begin(TaskNode& node) {
  fail_to_start();
  return end_begin(node);
}

// A foreign thread reads nothing here but the home, which is constant while the group runs.
bool Group::may_spawn() {
  if (is_in_task()) {
    // A deadline or a stop from outside leaves this child out. So the group has not done what it
    // was asked for, even if all that has begun ends with ok.
    if (is_stopped() && !was_stopped_ && result_.ok()) {
      if (const absl::Status* const stop = internal::find_stop(&body_.base())) result_ = *stop;
    }
    return true;
  }
  is_misused_.store(true, std::memory_order_relaxed);
  internal::tell([] { LOG(ERROR) << "epore: " << kMisuse; });
  return false;
}

void Group::start(internal::GroupChild* child) {
  add(*child);
  bool has_ended = true;
  try {
    has_ended = child->begin();
  } catch (...) {  // by the callable; it is no coroutine, or an argument cannot be copied
    child->status = internal::caught_exception();
  }
  if (!has_ended) return;
  ended_at_once(*child);
  delete child;
}

// In the catch of an exception.
void Group::fail_to_start() {
  if (result_.ok()) result_ = internal::caught_exception();
  cancel_children("a part of the group could not start");
}

void Group::decide(JoinChild& child) {
  if (&child == &body_) body_runs_ = false;
  if (is_misused_.exchange(false, std::memory_order_relaxed) && result_.ok()) {
    result_ = internal::make_error(absl::StatusCode::kFailedPrecondition, kMisuse);
    cancel_children("Group::spawn was called elsewhere");
  }
  if (child.status.ok() || !result_.ok()) return;
  if (was_stopped_ && absl::IsCancelled(child.status)) return;
  result_ = child.status;
  cancel_children("another part of the group has failed");
}

void Group::stop() {
  was_stopped_ = true;
  cancel_children("the group was stopped");
}

}  // namespace epore
