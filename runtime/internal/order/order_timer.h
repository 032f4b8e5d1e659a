#ifndef EPORE_RUNTIME_INTERNAL_ORDER_ORDER_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_ORDER_ORDER_TIMER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/timer_entry.h"
#include "epore/runtime/timer.h"

namespace epore::internal {

// A timer of an order. It is a member of the order, and is queued there when it expires.
class OrderTimer final : public TimerEntry {
 public:
  OrderTimer(Ref<OrderState> order, absl::AnyInvocable<void()> callback)
      : TimerEntry(order->home(), Kind::member),
        order_(std::move(order)),
        callback_(std::move(callback)) {}

  void run() override;

 private:
  void expired() override;
  void queue_in_order(Ref<Runnable> self) override { order_->push(std::move(self)); }

  const Ref<OrderState> order_;
  absl::AnyInvocable<void()> callback_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ORDER_ORDER_TIMER_H_
