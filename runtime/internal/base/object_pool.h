#ifndef EPORE_RUNTIME_INTERNAL_BASE_OBJECT_POOL_H_
#define EPORE_RUNTIME_INTERNAL_BASE_OBJECT_POOL_H_

#include <cstddef>
#include <new>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/region.h"

namespace epore::internal {

// Memory for objects of one size, in a Region. Keeps what is freed, for the next. Any thread.
class ObjectPool {
 public:
  ObjectPool(std::size_t size, std::size_t alignment) : size_(size), alignment_(alignment) {}

  void* allocate() {
    const absl::MutexLock lock(&mutex_);
    if (free_ != nullptr) return std::exchange(free_, free_->next);
    return region_.take(size_, alignment_);
  }

  void free(void* memory) {
    const absl::MutexLock lock(&mutex_);
    free_ = new (memory) Free{free_};
  }

 private:
  struct Free {
    Free* next;
  };

  const std::size_t size_;
  const std::size_t alignment_;
  absl::Mutex mutex_;
  Region region_ ABSL_GUARDED_BY(mutex_);
  Free* free_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_OBJECT_POOL_H_
