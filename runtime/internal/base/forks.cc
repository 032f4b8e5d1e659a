#include "epore/runtime/internal/base/forks.h"

#include <pthread.h>

#include "absl/base/call_once.h"

namespace epore::internal {

void count_forks() {
  static constinit absl::once_flag once;
  absl::call_once(once, [] {
    (void)::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  });
}

}  // namespace epore::internal
