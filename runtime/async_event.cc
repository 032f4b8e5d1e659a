#include "epore/runtime/async_event.h"

#include "absl/synchronization/mutex.h"

namespace epore {

void AsyncEvent::set() {
  internal::ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  is_set_ = true;
  admit_waiting(ready);
}

void AsyncEvent::reset() {
  const absl::MutexLock lock(&mutex_);
  is_set_ = false;
}

bool AsyncEvent::is_set() const {
  const absl::MutexLock lock(&mutex_);
  return is_set_;
}

}  // namespace epore
