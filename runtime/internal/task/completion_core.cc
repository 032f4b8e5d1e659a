#include "epore/runtime/internal/task/completion_core.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/no_memory.h"

namespace epore::internal {

void CompletionCore::add_completer() {
  const absl::MutexLock lock(&mutex_);
  ++completers_;
  had_completer_ = true;
}

void CompletionCore::drop_completer() {
  {
    const absl::MutexLock lock(&mutex_);
    if (--completers_ != 0 || state_ != State::waiting) return;
    state_ = State::claimed;
  }
  finish(make_error(absl::StatusCode::kAborted, "Completion: it was dropped without a result"));
}

bool CompletionCore::claim() {
  const absl::MutexLock lock(&mutex_);
  if (state_ != State::waiting) return false;
  state_ = State::claimed;
  return true;
}

void CompletionCore::finish(absl::Status status) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  state_ = State::complete;
  status_ = std::move(status);
  if (!waiter_.empty()) ready.add(waiter_, *waiter_.first(), &status_);
}

bool CompletionWait::begin(TaskNode& node) {
  if (ends_with_stop(node) || fails_as_nothing(name(), core_.get(), "completion", node))
    return true;
  return core_->begin(*this, node);
}

bool CompletionCore::begin(CompletionWait& wait, TaskNode& node) {
  const absl::MutexLock lock(&mutex_);
  if (state_ == State::complete) {
    node.status = status_;
  } else if (state_ == State::taken) {
    node.status = make_error(absl::StatusCode::kFailedPrecondition,
                             "Completion::wait: the result was taken before");
  } else if (!waiter_.empty()) {
    node.status = make_error(absl::StatusCode::kFailedPrecondition,
                             "Completion::wait: another task waits already");
  } else if (!had_completer_) {
    node.status =
        make_error(absl::StatusCode::kFailedPrecondition,
                   "Completion::wait: nobody can complete it; hand out a completer() first");
  } else {
    waiter_.push(wait, node);
    return false;
  }
  return true;
}

void CompletionCore::cancel(CompletionWait& wait, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(wait)) ready.add(waiter_, wait, &why);
}

void CompletionCore::set_taken() {
  const absl::MutexLock lock(&mutex_);
  state_ = State::taken;
}

}  // namespace epore::internal
