#include "epore/runtime/order.h"

#include <new>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/order/order_state.h"

namespace epore {

Order::Order() = default;
Order::Order(const Order&) = default;
Order::Order(Order&&) noexcept = default;
Order& Order::operator=(const Order&) = default;
Order& Order::operator=(Order&&) noexcept = default;
Order::~Order() = default;

Order::Order(internal::Ref<internal::OrderState> state) : state_(std::move(state)) {}

absl::Status Order::post(internal::Callable<absl::AnyInvocable<void()>> closure) const {
  if (!closure) return absl::InvalidArgumentError("Order::post: the closure is null");
  try {
    if (is_missing_) {
      return absl::ResourceExhaustedError("Order::post: there was no memory for the order");
    }
    if (!state_) return absl::FailedPreconditionError("Order::post: this handle names no order");
    return state_->post(std::move(closure).take());
  } catch (const std::bad_alloc&) {
    return absl::Status(absl::StatusCode::kResourceExhausted, "");  // which allocates nothing
  }
}

Timer Order::post_after(absl::Duration delay,
                        internal::Callable<absl::AnyInvocable<void()>> closure) const {
  Timer timer = this->timer(std::move(closure));
  timer.arm(delay);
  return timer;
}

Timer Order::timer(internal::Callable<absl::AnyInvocable<void()>> callback) const {
  if (!callback) {
    internal::tell(
        [] { LOG(ERROR) << "epore: Order::timer: the callback is null; the timer does nothing"; });
    return Timer();
  }
  if (!state_) return Timer();
  try {
    return Timer(state_->timer(std::move(callback).take()));
  } catch (const std::bad_alloc&) {
    return Timer();
  }
}

bool Order::is_current() const { return state_ && state_->is_current(); }

}  // namespace epore
