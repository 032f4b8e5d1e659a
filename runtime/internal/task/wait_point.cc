#include "epore/runtime/internal/task/wait_point.h"

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace epore::internal {

// The lock lets a thread that has admitted the destroyer leave its call.
WaitPoint::~WaitPoint() {
  const absl::MutexLock lock(&mutex_);
  CHECK(waiting_.empty()) << "destroyed while a task waits for it";
}

bool WaitPoint::begin(PointOperation& operation, TaskNode& node) {
  if (ends_with_stop(node)) return true;
  const absl::MutexLock lock(&mutex_);
  if (fails_as_awaited(operation.name(), WaitList::has(operation), node)) return true;
  if (waiting_.empty() && admit(operation)) {
    operation.is_admitted_ = true;
    return true;
  }
  waiting_.push(operation, node);
  return false;
}

// Those behind it may need less than it did.
void WaitPoint::cancel(PointOperation& operation, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (!WaitList::has(operation)) return;
  ready.add(waiting_, operation, &why);
  admit_waiting(ready);
}

void WaitPoint::admit_waiting(ReadyList& ready) {
  while (!waiting_.empty()) {
    auto& first = static_cast<PointOperation&>(*waiting_.first());
    if (!admit(first)) return;
    first.is_admitted_ = true;
    ready.add(waiting_, first);
  }
}

}  // namespace epore::internal
