#ifndef EPORE_RUNTIME_INTERNAL_ORDER_ORDER_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_ORDER_ORDER_TIMER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/listed_timer.h"
#include "epore/runtime/timer.h"

namespace epore::internal {

// A timer of an order. It is a member of the order, and is queued there when it expires.
class OrderTimer final : public ListedTimer {
 public:
  OrderTimer(Ref<OrderState> order, absl::AnyInvocable<void()> callback)
      : ListedTimer(Ref<Core>::share(&order->core()), order->home(), Kind::member,
                    std::move(callback)),
        order_(std::move(order)) {}

  void run() override;

 private:
  void expired() override;
  void queue_in_order(Ref<Runnable> self) override { order_->push(std::move(self)); }

  const Ref<OrderState> order_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ORDER_ORDER_TIMER_H_
