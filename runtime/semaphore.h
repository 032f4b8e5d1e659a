#ifndef EPORE_RUNTIME_SEMAPHORE_H_
#define EPORE_RUNTIME_SEMAPHORE_H_

#include <cstddef>
#include <optional>
#include <utility>

#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/wait_point.h"

namespace epore {

class Semaphore;

namespace internal {
class PermitWait;
}

// Permits of a Semaphore, which go back with the destructor. It may be moved to any thread.
class [[nodiscard]] Permit {
 public:
  Permit() = default;  // of no semaphore
  Permit(Permit&& other) noexcept
      : semaphore_(std::exchange(other.semaphore_, nullptr)), count_(other.count_) {}
  Permit& operator=(Permit&& other) noexcept {  // gives its own back first
    if (this == &other) return *this;
    release();
    semaphore_ = std::exchange(other.semaphore_, nullptr);
    count_ = other.count_;
    return *this;
  }
  ~Permit() { release(); }

  // Gives the permits back now. A second call does nothing.
  void release();

  // Keeps the permits for good: Semaphore::release() may give them back.
  void forget() { semaphore_ = nullptr; }

 private:
  friend class Semaphore;
  friend class internal::PermitWait;

  Permit(Semaphore& semaphore, std::size_t count) : semaphore_(&semaphore), count_(count) {}

  Semaphore* semaphore_ = nullptr;
  std::size_t count_ = 0;
};

namespace internal {

// Waits for permits. If nobody takes them, they go back.
class PermitWait : public PointOperation {
 protected:
  PermitWait(Semaphore& semaphore, std::size_t count);
  PermitWait(PermitWait&&) = default;  // before it begins
  ~PermitWait() {
    if (is_admitted() && !is_taken_) give_back();
  }

  Permit take_permit();

 private:
  void give_back();

  Semaphore* semaphore_;
  bool is_taken_ = false;
};

class AcquireOperation final : public PermitWait, public WithResult<AcquireOperation> {
 public:
  using Value = Permit;

  AcquireOperation(Semaphore& semaphore, std::size_t count) : PermitWait(semaphore, count) {}
  AcquireOperation(AcquireOperation&&) = default;

  Permit take() { return take_permit(); }

 private:
  const char* name() const override { return "Semaphore::acquire"; }
};

}  // namespace internal

// A Semaphore has a number of permits, which tasks acquire and give back: at most so many requests
// at a time.
//
//   epore::Semaphore slots(10);
//   ...
//   epore::Permit slot = co_await slots.acquire();
//   co_await ask(backend);
//
// Permits are given in the order of the acquire()s, so one for many permits holds up later ones for
// a few. One for more permits than there are waits until release() has added them.
//
// Threads: tasks of any orders may wait, and any thread may call the other methods.
//
// Lifetime: it must outlive its Permits and the tasks that wait for them.
//
// An acquire() that is stopped, or that any() has no use for, takes no permit. A lock is held for a
// few instructions only, and nothing is allocated.
class Semaphore final : private internal::WaitPoint {
 public:
  explicit Semaphore(std::size_t permits) : permits_(permits) {}

  // Waits for `count` permits. Errors: those of a stop.
  [[nodiscard]] internal::AcquireOperation acquire(std::size_t count = 1) {
    return internal::AcquireOperation(*this, count);
  }

  // The permits if they are there now and nobody waits, or nothing. Any thread.
  std::optional<Permit> try_acquire(std::size_t count = 1);

  // Adds permits, up to the most of a size_t. (A Permit gives its own back by itself.) Tasks are
  // resumed in their orders, and never inside this call.
  void release(std::size_t count = 1);

  // The permits that are there now.
  std::size_t available() const;

 private:
  friend class internal::PermitWait;

  bool admit(const internal::PointOperation& operation) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::size_t permits_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore

#endif  // EPORE_RUNTIME_SEMAPHORE_H_
