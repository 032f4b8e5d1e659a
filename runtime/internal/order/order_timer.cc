#include "epore/runtime/internal/order/order_timer.h"

#include <utility>

#include "epore/runtime/internal/reactor/core.h"

namespace epore::internal {

// Another thread may run this timer, and drop the last reference to it, as soon as it is in the
// inbox of the order. The order must outlive the wake behind that.
void OrderTimer::expired() {
  const Ref<OrderState> order = order_;
  core().wake(Ref<Runnable>(Ref<OrderTimer>::adopt(this)));  // the queue's
}

void OrderTimer::run() {
  if (core().phase() >= Core::Phase::refusing) {
    // The callback is not called any more. It may hold a handle of this timer, which would leak.
    cancel();
    callback_ = nullptr;
  } else if (claim()) {
    core().counters().add(Counter::timers_fired);
    core().call(callback_);
  }
}

}  // namespace epore::internal
