#include "epore/runtime/internal/order/remote_root.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/task/trampoline.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/on.h"

namespace epore::internal {

RemoteRoot::RemoteRoot(Ref<OrderState> order, RemoteCall& call, TaskNode& waiter)
    : TaskRoot(std::move(order)),
      call_(call),
      waiter_(waiter),
      is_told_by_waiter_(this_thread.core == &core()) {}

void RemoteRoot::stop_because(const absl::Status& why) {
  {
    const absl::MutexLock lock(&mutex_);
    if (why_.ok()) why_ = why;
  }
  TaskRoot::request_stop();
}

void RemoteRoot::request_stop() {
  if (!is_told_by_waiter_ || is_cut_off()) TaskRoot::request_stop();
}

absl::Status RemoteRoot::why_stopped() {
  const absl::MutexLock lock(&mutex_);
  return why_.ok() ? TaskRoot::why_stopped() : why_;
}

void RemoteRoot::on_end() { Trampoline::complete(waiter_, result()); }

Task<> RemoteRoot::call() { return call_.call(); }

RemoteCall::RemoteCall(const Order& order) : order_(order) {}
RemoteCall::RemoteCall(RemoteCall&&) noexcept = default;
RemoteCall::~RemoteCall() = default;

// The waiter may be completed before wait(): it is resumed in this order, and so later.
bool RemoteCall::begin(TaskNode& node) {
  if (ends_with_stop(node) || fails_as_awaited(name(), is_waiting(), node)) return true;
  node.status = or_no_memory("on", [&]() -> absl::Status {
    absl::StatusOr<Ref<OrderState>> order = OrderState::share(order_, "on");
    if (!order.ok()) return order.status();
    root_ = Ref<RemoteRoot>::adopt(new RemoteRoot(*std::move(order), *this, node));
    return absl::OkStatus();
  });
  if (!node.status.ok()) return true;
  if (absl::Status started = root_->start(); !started.ok()) {
    node.status = std::move(started);
    return true;
  }
  wait(node);
  return false;
}

void RemoteCall::cancel(const absl::Status& why) { root_->stop_because(why); }

}  // namespace epore::internal
