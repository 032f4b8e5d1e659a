#include "epore/runtime/internal/task/once_core.h"

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace epore::internal {

// The lock lets a task that has given the value to the destroyer leave its call.
OnceCore::~OnceCore() {
  const absl::MutexLock lock(&mutex_);
  CHECK(state_ != State::computing) << "a Once is destroyed while a task awaits it";
}

bool OnceCore::has_value() const {
  const absl::MutexLock lock(&mutex_);
  return state_ == State::full;
}

bool OnceCore::begin(OnceTurnWait& wait, TaskNode& node) {
  if (ends_with_stop(node)) return true;
  const absl::MutexLock lock(&mutex_);
  if (fails_as_awaited(wait.name(), WaitList::has(wait) || wait.has_turn_, node)) return true;
  switch (state_) {
    case State::full:
      return true;
    case State::empty:
      state_ = State::computing;
      wait.has_turn_ = true;
      return true;
    case State::computing:
      waiting_.push(wait, node);
      return false;
  }
  return true;
}

void OnceCore::cancel(OnceTurnWait& wait, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(wait)) ready.add(waiting_, wait, &why);
}

void OnceCore::set_full() {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  state_ = State::full;
  while (!waiting_.empty()) ready.add(waiting_, *waiting_.first());
}

void OnceCore::fail(const absl::Status& error) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  state_ = State::empty;
  while (!waiting_.empty()) ready.add(waiting_, *waiting_.first(), &error);
}

void OnceCore::hand_over() {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (waiting_.empty()) {
    state_ = State::empty;
    return;
  }
  auto& next = static_cast<OnceTurnWait&>(*waiting_.first());
  next.has_turn_ = true;
  ready.add(waiting_, next);
}

}  // namespace epore::internal
