#include "epore/runtime/internal/order/order_timer.h"

#include <utility>

#include "epore/runtime/internal/reactor/core.h"

namespace epore::internal {

void OrderTimer::expired() {
  order_->core().wake(Ref<Runnable>(Ref<OrderTimer>::adopt(this)));  // the wheel's
}

void OrderTimer::run() {
  if (order_->core().phase() >= Core::Phase::refusing) {
    // Nobody calls it any more, and it may have captured a handle of this timer.
    cancel();
    callback_ = nullptr;
  } else if (claim()) {
    order_->core().counters().add(Counter::timers_fired);
    order_->core().call(callback_);
  }
}

}  // namespace epore::internal
