#ifndef EPORE_RUNTIME_INTERNAL_ORDER_REMOTE_ROOT_H_
#define EPORE_RUNTIME_INTERNAL_ORDER_REMOTE_ROOT_H_

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/order/task_root.h"
#include "epore/runtime/internal/task/task_node.h"

namespace epore::internal {

class RemoteCall;

// The root of a task that another task awaits, in another order: see on().
//
//   the awaiting order                         the order of the root
//   begin(): start()                  ----->   run(): the task begins
//   cancel(): stop_because()          ----->   run(): stops it with why_stopped()
//   the coroutine resumes             <-----   on_end(): posts the waiter
class RemoteRoot final : public TaskRoot {
 public:
  // In the order of `waiter`, which is completed when the task that `call` makes has ended.
  RemoteRoot(Ref<OrderState> order, RemoteCall& call, TaskNode& waiter);

  // Any thread: stops the task, soon. It ends with the first `why`.
  void stop_because(const absl::Status& why);

  // A shutdown stops the awaiting task, which passes the stop on, unless it is under a shield. So
  // this stops nothing before the cut off, if the awaiting task is one of the same runtime.
  void request_stop() override;

 private:
  Task<> call() override;
  void drop_callable() override {}  // the awaiting coroutine has it
  absl::Status why_stopped() override;
  void on_end() override;

  // Both live until on_end().
  RemoteCall& call_;
  TaskNode& waiter_;

  const bool is_told_by_waiter_;

  absl::Mutex mutex_;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ORDER_REMOTE_ROOT_H_
