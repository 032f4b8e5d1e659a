#include "epore/runtime/blocking.h"

#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/caught_exception.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/blocking_pool.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/task/trampoline.h"
#include "epore/runtime/internal/task/wait_list.h"

namespace epore::internal {

// It may complete before push() returns, but resumes nobody: this is the order of the task.
bool BlockingCall::begin(TaskNode& node) {
  if (ends_with_stop(node) || fails_as_awaited(name(), is_waiting(), node)) return true;
  Core& core = node.scope->chain->home().order_state()->core();
  pool_ = lane_.pool_.get() != nullptr ? lane_.pool_.get() : &core.blocking();
  if (!pool_->is_of(core)) {
    node.status = or_no_memory("blocking", [] {
      return absl::InvalidArgumentError("blocking: the lane is of another runtime");
    });
    return true;
  }
  node_ = &node;
  wait(node);
  pool_->push(*this);
  return false;
}

void BlockingCall::run() {
  absl::Status status;
  try {
    status = call();
  } catch (...) {
    status = caught_exception();
  }
  Trampoline::complete(*node_, std::move(status));
}

void BlockingCall::fail(const absl::Status& error) { Trampoline::complete(*node_, error); }

void BlockingCall::cancel(const absl::Status& why) {
  if (pool_->remove(*this)) Trampoline::complete(*node_, why);
}

}  // namespace epore::internal
