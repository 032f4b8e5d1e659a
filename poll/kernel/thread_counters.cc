#include "epore/poll/kernel/thread_counters.h"

#include <bitset>
#include <cstddef>

#include "absl/base/attributes.h"
#include "absl/base/const_init.h"
#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace epore::internal {
namespace {

ABSL_CONST_INIT absl::Mutex slots_mutex(absl::kConstInit);
ABSL_CONST_INIT std::bitset<kThreadSlots> slots_taken ABSL_GUARDED_BY(slots_mutex);

struct SlotReleaser {
  ~SlotReleaser() {
    const std::size_t slot = this_thread_slot;
    this_thread_slot = kThreadSlots;  // later destructors of this thread count in the shared shard
    if (slot < kThreadSlots) {
      absl::MutexLock lock(&slots_mutex);
      slots_taken.reset(slot);
    }
  }
};

}  // namespace

std::size_t take_thread_slot() {
  thread_local SlotReleaser releaser;
  (void)releaser;
  absl::MutexLock lock(&slots_mutex);
  for (std::size_t slot = 0; slot < kThreadSlots; ++slot) {
    if (!slots_taken.test(slot)) {
      slots_taken.set(slot);
      return slot;
    }
  }
  return kThreadSlots;
}

}  // namespace epore::internal
