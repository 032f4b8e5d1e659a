#include <new>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/connect.h"
#include "epore/runtime/internal/endpoints/connector.h"
#include "epore/runtime/internal/endpoints/destination.h"
#include "epore/runtime/internal/order/order_state.h"

namespace epore::internal {

bool ConnectOperation::begin(TaskNode& node) {
  if (const absl::Status* stop = find_stop(node.scope); stop != nullptr) {
    node.status = *stop;
    return true;
  }
  if (fails_as_awaited(name(), is_waiting(), node)) return true;
  OrderState& order = *node.scope->chain->home().order_state();
  options_.order = order.handle();
  wait(node);
  try {
    attempt_ = Connector::start_for_task(
        Ref<Core>::share(&order.core()),
        std::visit([](const auto& to) { return Destination(to); }, to_),
        [this](absl::StatusOr<Connection> result) { connected(std::move(result)); }, options_);
  } catch (const std::bad_alloc&) {
    end_wait().status = absl::ResourceExhaustedError("connect: no memory");
    return true;
  }
  return false;
}

void ConnectOperation::cancel(const absl::Status& why) {
  if (!is_waiting() || !stop_.ok()) return;
  stop_ = why;
  (void)attempt_.cancel();  // connected() is called soon, unless it was already
}

void ConnectOperation::connected(absl::StatusOr<Connection> result) {
  if (result.ok()) {
    connection_ = *std::move(result);
    complete(absl::OkStatus());
  } else {
    complete(stop_.ok() ? result.status() : stop_);
  }
}

}  // namespace epore::internal
