#include "epore/runtime/internal/order/order_timer.h"

#include <utility>

#include "epore/runtime/internal/reactor/core.h"

namespace epore::internal {

void OrderTimer::expired() {
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
