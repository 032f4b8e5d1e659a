#include <new>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/task/trampoline.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/internal/watch/fd_watch.h"
#include "epore/runtime/ready.h"

namespace epore::internal {

// A TaskWatch is the watch of one ReadyOperation. Both are in the order of the task, so neither
// meets the other on another thread.
class TaskWatch final : public FdWatch, public InFrameCache {
 public:
  TaskWatch(OrderState& order, int fd, Interest interest, ReadyOperation& operation)
      : FdWatch(Ref<Core>::share(&order.core()), Ref<OrderState>::share(&order), fd, interest),
        operation_(&operation) {}

  // The operation is over.
  void leave() {
    operation_ = nullptr;
    (void)end();
  }

 private:
  void is_ready(Readiness readiness) override { complete(readiness, absl::OkStatus()); }
  void has_failed(const absl::Status& why) override { complete({}, why); }
  void has_ended() override {
    complete({}, make_error(absl::StatusCode::kCancelled, "the runtime shuts down"));
  }

  void complete(Readiness readiness, absl::Status status) {
    if (operation_ == nullptr) return;
    ReadyOperation& operation = *operation_;
    leave();  // first: the coroutine may await the same descriptor again
    const Trampoline::Run run(this_thread.now);
    operation.end(readiness, std::move(status));
  }

  ReadyOperation* operation_;
};

ReadyOperation::ReadyOperation(int fd, Interest interest) : fd_(fd), interest_(interest) {}
ReadyOperation::ReadyOperation(ReadyOperation&& other) noexcept
    : Operation(std::move(other)), fd_(other.fd_), interest_(other.interest_) {}
ReadyOperation::~ReadyOperation() = default;

bool ReadyOperation::begin(TaskNode& node) {
  if (ends_with_stop(node) || fails_as_awaited(name(), is_waiting(), node)) return true;
  node.status = or_no_memory("readable or writable", [&]() -> absl::Status {
    if (interest_.is_empty()) {
      return make_error(absl::StatusCode::kInvalidArgument, "ready: the interest is empty");
    }
    OrderState& order = *node.scope->chain->home().order_state();
    watch_ = Ref<TaskWatch>::adopt(new TaskWatch(order, fd_, interest_, *this));
    return watch_->start("ready");
  });
  if (!node.status.ok()) return true;
  wait(node);
  return false;
}

void ReadyOperation::cancel(const absl::Status& why) {
  if (!is_waiting()) return;
  watch_->leave();
  complete(why);
}

void ReadyOperation::end(Readiness readiness, absl::Status status) {
  readiness_ = readiness;
  complete(std::move(status));
}

}  // namespace epore::internal
