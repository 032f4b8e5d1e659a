#include "epore/runtime/semaphore.h"

#include <cstddef>
#include <limits>
#include <optional>
#include <utility>

#include "absl/synchronization/mutex.h"

namespace epore {
namespace {

std::size_t saturating_add(std::size_t a, std::size_t b) {
  return b > std::numeric_limits<std::size_t>::max() - a ? std::numeric_limits<std::size_t>::max()
                                                         : a + b;
}

}  // namespace

void Permit::release() {
  if (semaphore_ != nullptr) std::exchange(semaphore_, nullptr)->release(count_);
}

std::optional<Permit> Semaphore::try_acquire(std::size_t count) {
  const absl::MutexLock lock(&mutex_);
  if (!waiting_.empty() || permits_ < count) return std::nullopt;
  permits_ -= count;
  return Permit(*this, count);
}

void Semaphore::release(std::size_t count) {
  internal::ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  permits_ = saturating_add(permits_, count);
  admit_waiting(ready);
}

std::size_t Semaphore::available() const {
  const absl::MutexLock lock(&mutex_);
  return permits_;
}

bool Semaphore::admit(const internal::PointOperation& operation) {
  if (permits_ < operation.count()) return false;
  permits_ -= operation.count();
  return true;
}

namespace internal {

PermitWait::PermitWait(Semaphore& semaphore, std::size_t count)
    : PointOperation(semaphore, count), semaphore_(&semaphore) {}

Permit PermitWait::take_permit() {
  is_taken_ = true;
  return Permit(*semaphore_, count());
}

void PermitWait::give_back() { semaphore_->release(count()); }

}  // namespace internal
}  // namespace epore
