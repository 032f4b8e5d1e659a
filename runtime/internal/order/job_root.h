#ifndef EPORE_RUNTIME_INTERNAL_ORDER_JOB_ROOT_H_
#define EPORE_RUNTIME_INTERNAL_ORDER_JOB_ROOT_H_

#include <memory>
#include <utility>

#include "epore/runtime/bound_task.h"
#include "epore/runtime/internal/order/task_root.h"

namespace epore::internal {

// What a Job names.
class JobRoot final : public TaskRoot {
 public:
  JobRoot(Ref<OrderState> order, std::unique_ptr<TaskStart> start)
      : TaskRoot(std::move(order), std::move(start)) {}

 private:
  void on_end() override;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ORDER_JOB_ROOT_H_
