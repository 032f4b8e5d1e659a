#include "epore/runtime/group.h"

#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/caught_exception.h"

namespace epore {

using internal::JoinChild;
using internal::TaskNode;

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
