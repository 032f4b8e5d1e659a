#include "epore/runtime/internal/reactor/connection_permits.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

namespace epore::internal {

bool ConnectionPermits::try_take() {
  // Not an increment and a check: for a moment the count would be too high for another thread.
  std::uint64_t taken = taken_.load(std::memory_order_seq_cst);
  do {
    if (limit_ != 0 && taken >= limit_) return false;
  } while (!taken_.compare_exchange_weak(taken, taken + 1, std::memory_order_seq_cst));
  return true;
}

void ConnectionPermits::give_back() {
  taken_.fetch_sub(1, std::memory_order_seq_cst);
  if (waiter_count_.load(std::memory_order_seq_cst) == 0) return;
  // One by one, without the lock and without memory: a copy of the list could fail, here at the end
  // of a connection. From the back, so that one that goes meanwhile moves only those that were
  // resumed. One that comes meanwhile looks for a permit itself.
  for (std::size_t left = std::numeric_limits<std::size_t>::max(); left > 0;) {
    Ref<PermitWaiter> waiter;
    {
      absl::MutexLock lock(&mutex_);
      left = std::min(left, waiters_.size());
      if (left == 0) return;
      waiter = waiters_[--left];
    }
    waiter->resume();
  }
}

void ConnectionPermits::add_waiter(PermitWaiter& waiter) {
  absl::MutexLock lock(&mutex_);
  waiters_.push_back(Ref<PermitWaiter>::share(&waiter));
  waiter_count_.fetch_add(1, std::memory_order_seq_cst);
}

void ConnectionPermits::remove_waiter(PermitWaiter& waiter) {
  Ref<PermitWaiter> removed;  // dropped after the lock
  absl::MutexLock lock(&mutex_);
  const auto found = std::find_if(waiters_.begin(), waiters_.end(),
                                  [&](const Ref<PermitWaiter>& w) { return w.get() == &waiter; });
  if (found == waiters_.end()) return;
  removed = std::move(*found);
  waiters_.erase(found);
  waiter_count_.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace epore::internal
