#ifndef EPORE_RUNTIME_ASYNC_MUTEX_H_
#define EPORE_RUNTIME_ASYNC_MUTEX_H_

#include <optional>
#include <utility>

#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/semaphore.h"

namespace epore {

class AsyncMutex;

namespace internal {
class LockOperation;
}

// The lock of an AsyncMutex, which ends with the destructor. It may be moved to any thread.
class [[nodiscard]] AsyncLock {
 public:
  AsyncLock() = default;  // locks nothing
  AsyncLock(AsyncLock&&) = default;
  AsyncLock& operator=(AsyncLock&&) = default;

  // Ends it now. A second call does nothing.
  void unlock() { permit_.release(); }

 private:
  friend class AsyncMutex;
  friend class internal::LockOperation;

  explicit AsyncLock(Permit permit) : permit_(std::move(permit)) {}

  Permit permit_;
};

namespace internal {

class LockOperation final : public PermitWait, public WithResult<LockOperation> {
 public:
  using Value = AsyncLock;

  explicit LockOperation(Semaphore& semaphore) : PermitWait(semaphore, 1) {}
  LockOperation(LockOperation&&) = default;

  AsyncLock take() { return AsyncLock(take_permit()); }

 private:
  const char* name() const override { return "AsyncMutex::lock"; }
};

}  // namespace internal

// An AsyncMutex lets one task at a time into a section that awaits. It blocks no thread.
//
//   epore::AsyncMutex mutex;
//   ...
//   epore::AsyncLock lock = co_await mutex.lock();
//   co_await file.append(record);
//
// Tasks of one order need it only around a co_await: between two of them no other task of the order
// runs. A section without co_await that is shared with other orders takes an absl::Mutex.
//
// Whoever has waited longest gets the lock. A task that has it and locks again waits for itself.
//
// Threads, lifetime: as a Semaphore.
class AsyncMutex {
 public:
  AsyncMutex() = default;
  AsyncMutex(const AsyncMutex&) = delete;
  AsyncMutex& operator=(const AsyncMutex&) = delete;

  // Waits for the lock. Errors: those of a stop, and then it is not locked.
  [[nodiscard]] internal::LockOperation lock() { return internal::LockOperation(semaphore_); }

  // The lock if it is free now, or nothing. Any thread.
  std::optional<AsyncLock> try_lock() {
    std::optional<Permit> permit = semaphore_.try_acquire();
    if (!permit.has_value()) return std::nullopt;
    return AsyncLock(*std::move(permit));
  }

 private:
  Semaphore semaphore_{1};
};

}  // namespace epore

#endif  // EPORE_RUNTIME_ASYNC_MUTEX_H_
