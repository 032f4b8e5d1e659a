#ifndef EPORE_RUNTIME_INTERNAL_TASK_BLOCKING_WORK_H_
#define EPORE_RUNTIME_INTERNAL_TASK_BLOCKING_WORK_H_

#include "absl/status/status.h"

namespace epore::internal {

// Work of a BlockingPool. See blocking().
class BlockingWork {
 public:
  BlockingWork(const BlockingWork&) = delete;
  BlockingWork& operator=(const BlockingWork&) = delete;

  // One of both is called, once, by the pool or by push(), with no lock held. The work may be gone
  // when it returns.
  virtual void run() = 0;
  virtual void fail(const absl::Status& error) = 0;

 protected:
  BlockingWork() = default;
  BlockingWork(BlockingWork&&) noexcept {}  // before it is pushed
  ~BlockingWork() = default;

 private:
  friend class BlockingPool;

  // Under the mutex of the pool.
  BlockingWork* previous_ = nullptr;
  BlockingWork* next_ = nullptr;
  bool is_queued_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_BLOCKING_WORK_H_
