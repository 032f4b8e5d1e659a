#ifndef EPORE_RUNTIME_INTERNAL_ORDER_JOB_ROOT_H_
#define EPORE_RUNTIME_INTERNAL_ORDER_JOB_ROOT_H_

#include <atomic>
#include <memory>
#include <utility>

#include "epore/runtime/bound_task.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/order/task_root.h"

namespace epore::internal {

// What a Job names.
class JobRoot final : public TaskRoot, public InFrameCache {
 public:
  JobRoot(Ref<OrderState> order, std::unique_ptr<TaskStart> start)
      : TaskRoot(std::move(order)), start_(std::move(start)) {}

  // The result was told to somebody, and is not logged.
  void was_seen() { is_seen_.store(true, std::memory_order_relaxed); }

 private:
  ~JobRoot() override;  // after the end, when no handle is left that could look

  Task<> call() override { return start_->call(); }
  void drop_callable() override { start_ = nullptr; }

  std::unique_ptr<TaskStart> start_;
  std::atomic<bool> is_seen_{false};  // relaxed: the last drop of a reference orders it
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ORDER_JOB_ROOT_H_
