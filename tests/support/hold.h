#ifndef EPORE_TESTS_SUPPORT_HOLD_H_
#define EPORE_TESTS_SUPPORT_HOLD_H_

#include <atomic>
#include <memory>

#include "absl/synchronization/notification.h"
#include "tests/support/fault_kernel.h"

namespace epore {

// Stops a thread in a call: the first one of its kind from now on, before or after it is made.
//
//   FaultKernel kernel;
//   Hold hold(kernel, KernelCall::kEpollWait, Hold::before);
//   Runtime runtime({.kernel = &kernel});
//   hold.await();    // now the poll thread is about to wait for the first time
//   hold.release();
class Hold {
 public:
  enum Where { before, after };

  Hold(FaultKernel& kernel, KernelCall kind, Where where) : state_(std::make_shared<State>()) {
    const auto hook = [state = state_](const FaultKernel::Call& call) {
      // A wait that brought nothing is not what a test wants to see the end of. That of io_uring
      // returns the number of operations that it submitted, which is mostly 0.
      const std::int64_t least = call.kind == KernelCall::kIoUringEnter ? 0 : 1;
      if (state->where == after && call.result.value() < least) return;
      if (state->is_used.exchange(true)) return;
      state->reached.Notify();
      state->released.WaitForNotification();
    };
    state_->where = where;
    if (where == before) {
      kernel.before(kind, hook);
    } else {
      kernel.after(kind, hook);
    }
  }

  void await() { state_->reached.WaitForNotification(); }
  void release() { state_->released.Notify(); }

 private:
  struct State {
    Where where;
    std::atomic<bool> is_used{false};
    absl::Notification reached;
    absl::Notification released;
  };

  const std::shared_ptr<State> state_;
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_HOLD_H_
