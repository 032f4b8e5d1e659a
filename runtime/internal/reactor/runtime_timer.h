#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_RUNTIME_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_RUNTIME_TIMER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/listed_timer.h"

namespace epore::internal {

// A RuntimeTimer is a timer that belongs to no connection and no order. It is a Runnable of its
// own.
class RuntimeTimer final : public ListedTimer {
 public:
  RuntimeTimer(Ref<Core> core, Reactor& home, absl::AnyInvocable<void()> callback)
      : ListedTimer(std::move(core), home, kKind, std::move(callback)) {}

  // Returns null if `node` is of another kind.
  static RuntimeTimer* from(TimerNode& node) {
    return node.kind() == kKind ? static_cast<RuntimeTimer*>(&node) : nullptr;
  }

  void run() override {
    // A timer that expired before the shutdown may run after it.
    if (has_come_too_late()) return;
    if (claim()) {
      core().counters().add(Counter::timers_fired);
      core().call(callback_);
    }
    // Without another reference nobody can arm the timer again, so its captures are destroyed. Here
    // a relief comes if that takes long. is_armed() is for a periodic timer that is due again
    // already.
    if (is_only_reference() && !is_armed()) callback_ = nullptr;
  }

 private:
  static constexpr Kind kKind = Kind::passing;

  void expired() override {
    Ref<RuntimeTimer> self = Ref<RuntimeTimer>::adopt(this);  // the queue's
    if (!has_come_too_late()) core().wake(std::move(self));
  }

  bool has_come_too_late() {
    if (core().phase() < Core::Phase::refusing) [[likely]]
      return false;
    cancel();
    return true;
  }
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_RUNTIME_TIMER_H_
