#include "poll/sys/thread_counters.h"

#include <bitset>
#include <cstddef>

#include "absl/base/attributes.h"
#include "absl/base/const_init.h"
#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace epore::internal {
namespace {

constexpr std::size_t kUnknown = kThreadSlots + 1;

ABSL_CONST_INIT absl::Mutex slots_mutex(absl::kConstInit);
ABSL_CONST_INIT std::bitset<kThreadSlots> slots_taken ABSL_GUARDED_BY(slots_mutex);

// A plain word, so that the fast path is one read of thread-local memory without a guard.
ABSL_CONST_INIT thread_local std::size_t this_slot = kUnknown;

struct SlotReleaser {
  ~SlotReleaser() {
    const std::size_t slot = this_slot;
    this_slot = kThreadSlots;  // what is destroyed after this counts in the shared shard
    if (slot < kThreadSlots) {
      absl::MutexLock lock(&slots_mutex);
      slots_taken.reset(slot);
    }
  }
};

std::size_t take_slot() {
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

}  // namespace

std::size_t thread_slot() {
  if (this_slot == kUnknown) this_slot = take_slot();
  return this_slot;
}

}  // namespace epore::internal
