#include "epore/runtime/internal/watch/borrowed_fd.h"

#include <climits>

namespace epore::internal {

bool BorrowedFd::begin_call() {
  std::uint32_t seen = word_.load(std::memory_order_acquire);
  while ((seen & kGivenBack) == 0) {
    if ((seen & kCall) != 0) {
      await(kCall, false);
      seen = word_.load(std::memory_order_acquire);
    } else if (word_.compare_exchange_weak(seen, seen | kCall, std::memory_order_acq_rel,
                                           std::memory_order_acquire)) {
      return true;
    }
  }
  return false;
}

bool BorrowedFd::give_back() {
  if ((word_.fetch_or(kGivenBack, std::memory_order_acq_rel) & kGivenBack) != 0) {
    await(kDone, true);
    return false;
  }
  await(kCall, false);
  return true;
}

void BorrowedFd::clear(std::uint32_t bits, std::uint32_t set) {
  std::uint32_t seen = word_.load(std::memory_order_relaxed);
  while (!word_.compare_exchange_weak(seen, (seen & ~(bits | kWaiters)) | set,
                                      std::memory_order_acq_rel, std::memory_order_relaxed)) {
  }
  if ((seen & kWaiters) != 0) (void)kernel_.unpark(word_, INT_MAX);
}

void BorrowedFd::await(std::uint32_t bit, bool is_set) {
  std::uint32_t seen = word_.load(std::memory_order_acquire);
  while (((seen & bit) != 0) != is_set) {
    if ((seen & kWaiters) != 0 ||
        word_.compare_exchange_weak(seen, seen | kWaiters, std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      (void)kernel_.park(word_, seen | kWaiters, -1);
      seen = word_.load(std::memory_order_acquire);
    }
  }
}

}  // namespace epore::internal
