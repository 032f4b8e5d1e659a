#ifndef EPORE_RUNTIME_INTERNAL_CHILDREN_CHILD_STATE_H_
#define EPORE_RUNTIME_INTERNAL_CHILDREN_CHILD_STATE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/child.h"
#include "epore/runtime/internal/children/process.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/internal/watch/fd_watch.h"

namespace epore::internal {

// What a Child names: the watch of a pidfd, which is readable when the process has ended.
//
//   runs --readable--> is_ready(): waitid(2), which reaps it --> has_ended(): tells
//     `----shutdown, or the queue refuses to go on-------------> has_ended(): kills, reaps, tells
//
// The race that BorrowedFd is for here: a signal is sent while the child is reaped. Its id, and the
// number of its descriptor, may then be somebody else's. Signals are calls of the borrowed
// descriptor, and it is reaped only when it has been given back.
class ChildState final : public FdWatch {
 public:
  // See Runtime::start_child(). `callback` may be null. Throws std::bad_alloc.
  static absl::StatusOr<Child> start(Ref<Core> core, const Command& command,
                                     const ChildOptions& options, const Order& order,
                                     Child::Callback callback);

  // As start(), for a task in `order`: its pipes end with the task.
  static absl::StatusOr<Child> start_for_task(Ref<Core> core, const Command& command,
                                              const ChildOptions& options, const Order& order);

  ~ChildState() override;

  // Any thread. See Child.
  int pid() const { return pid_; }
  absl::Status kill(int signal, bool whole_group);

  // A ChildWait, in its order.
  bool begin(ChildWait& wait, TaskNode& node);
  void cancel(ChildWait& wait, const absl::Status& why);
  ExitStatus exit_status() const;

  std::string describe() const override;

 private:
  ChildState(Ref<Core> core, Ref<OrderState> order, Process process, Child::Callback callback);

  static absl::StatusOr<Child> start(Ref<Core> core, const Command& command,
                                     const ChildOptions& options, const Order& order,
                                     Child::Callback callback, bool is_of_task);

  void is_ready(Readiness readiness) override;
  void has_failed(const absl::Status& why) override;
  void has_ended() override;
  absl::StatusOr<ExitStatus> end_process();

  const int pid_;
  const bool leads_group_;

  // The runner only, and kill() in a call of the borrowed descriptor.
  std::optional<Process> process_;

  // The runner only.
  Child::Callback callback_;
  absl::Status why_killed_;

  mutable absl::Mutex mutex_;
  bool is_told_ ABSL_GUARDED_BY(mutex_) = false;
  // How it has ended. They do not change any more then.
  ExitStatus end_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  WaitList waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_CHILDREN_CHILD_STATE_H_
