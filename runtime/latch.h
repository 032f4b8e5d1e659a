#ifndef EPORE_RUNTIME_LATCH_H_
#define EPORE_RUNTIME_LATCH_H_

#include <cstddef>

#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/wait_point.h"

namespace epore {

namespace internal {

class LatchWait final : public PointOperation, public WithResult<LatchWait> {
 public:
  using Value = void;

  explicit LatchWait(WaitPoint& latch) : PointOperation(latch) {}
  LatchWait(LatchWait&&) = default;

  void take() {}

 private:
  const char* name() const override { return "Latch::wait"; }
};

}  // namespace internal

// A Latch counts down to zero once, and tasks wait for that. (std::latch, which blocks its thread.)
//
//   epore::Latch ready(shards.size());
//   for (Shard& shard : shards) shard.on_ready([&ready] { ready.count_down(); });
//   co_await ready.wait();
//
// To wait for the end of tasks, use a group() or all().
//
// Threads: any thread may call count_down() and count(). What happened before the count_down()s is
// visible after wait().
//
// Lifetime: as an AsyncEvent.
class Latch final : private internal::WaitPoint {
 public:
  explicit Latch(std::size_t count) : count_(count) {}

  // Subtracts `by`, at most to zero. At zero it resumes all tasks that wait, each in its order, and
  // never inside this call.
  void count_down(std::size_t by = 1);

  // What is left.
  std::size_t count() const;

  // Waits until the count is zero. Errors: those of a stop.
  [[nodiscard]] internal::LatchWait wait() { return internal::LatchWait(*this); }

 private:
  bool admit(const internal::PointOperation&) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return count_ == 0;
  }

  std::size_t count_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore

#endif  // EPORE_RUNTIME_LATCH_H_
