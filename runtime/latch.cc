#include "epore/runtime/latch.h"

#include <algorithm>
#include <cstddef>

#include "absl/synchronization/mutex.h"

namespace epore {

void Latch::count_down(std::size_t by) {
  internal::ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  count_ -= std::min(by, count_);
  admit_waiting(ready);
}

std::size_t Latch::count() const {
  const absl::MutexLock lock(&mutex_);
  return count_;
}

}  // namespace epore
