#ifndef EPORE_RUNTIME_INTERNAL_TASK_OPERATION_H_
#define EPORE_RUNTIME_INTERNAL_TASK_OPERATION_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/task/task_node.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore::internal {

// An Operation is what a chain of coroutines waits for in the end: bytes, a time, an item of a
// channel, the end of several children. It lives in the frame of the coroutine that awaits it.
//
// It completes exactly once. A completion that was before a stop wins over it, also while the
// coroutine has not been resumed yet.
class Operation {
 public:
  Operation() = default;
  Operation(Operation&&) noexcept {}  // of one that has not begun

  // A stop, in the order of the task: completes with `why`, now or soon, unless it has completed
  // already. Never resumes anybody inside this call.
  virtual void cancel(const absl::Status& why) = 0;

  // What it is, for the dump of tasks: "Connection::read".
  virtual const char* name() const = 0;

  // The chains that a join waits for, for the dump of tasks.
  virtual TaskChain* first_child() const { return nullptr; }
  virtual TaskChain* next_child(const TaskChain&) const { return nullptr; }

 protected:
  ~Operation() = default;

  // Called in begin(), if the operation has not completed.
  void wait(TaskNode& waiter) {
    waiter_ = &waiter;
    TaskChain& chain = *waiter.scope->chain;
    chain.leaf = this;
    chain.innermost = &waiter;
  }

  // For an operation that completes its waiter by returning it: ends the wait.
  TaskNode& end_wait() { return *std::exchange(waiter_, nullptr); }

  bool is_waiting() const { return waiter_ != nullptr; }
  TaskNode& waiter() const { return *waiter_; }

  // Completes the waiting coroutine, from any thread that may do so for this kind of operation. The
  // operation may be gone when this returns on another thread than its order's.
  void complete(absl::Status status) {
    Trampoline::complete(*std::exchange(waiter_, nullptr), std::move(status));
  }

 private:
  friend class WaitList;

  TaskNode* waiter_ = nullptr;  // null before start() and after the completion
};

// In begin(): completes `node` with FailedPrecondition and returns true ...

// ... if the handle that has made the operation names no `thing`, as it was moved from.
bool fails_as_nothing(std::string_view name, const void* state, std::string_view thing,
                      TaskNode& node) noexcept;

// ... if `is_awaited`: another task awaits this operation, or it is spent.
bool fails_as_awaited(std::string_view name, bool is_awaited, TaskNode& node) noexcept;

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_OPERATION_H_
