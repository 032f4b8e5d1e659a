#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_RUNTIME_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_RUNTIME_TIMER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/timer_entry.h"

namespace epore::internal {

// A timer of no connection: runs as a Runnable of its own.
class RuntimeTimer final : public TimerEntry {
 public:
  RuntimeTimer(Ref<Core> core, Reactor& home, absl::AnyInvocable<void()> callback)
      : TimerEntry(home, kKind), core_(std::move(core)), callback_(std::move(callback)) {}
  ~RuntimeTimer() override { home().runtime_timers().remove(*this); }

  // For the end of the runtime, when no thread is left that could be in the callback.
  void drop_callback() { callback_ = nullptr; }

  // Null: another kind of node.
  static RuntimeTimer* from(TimerNode& node) {
    return node.kind() == kKind ? static_cast<RuntimeTimer*>(&node) : nullptr;
  }

  void run() override {
    // What expired before the shutdown may come to its run after it.
    if (has_come_too_late()) return;
    if (claim()) {
      home().core().counters().add(Counter::timers_fired);
      home().core().call(callback_);
    }
    // Nobody is left who could arm it again: what it captured is destroyed here, where a relief
    // comes if that takes long. (A periodic one that is due already, and runs once more after this,
    // has no reference for that.)
    if (is_only_reference() && !is_armed()) callback_ = nullptr;
  }

 private:
  friend class RuntimeTimerList;

  static constexpr Kind kKind = Kind::passing;

  void expired() override {
    Ref<RuntimeTimer> self = Ref<RuntimeTimer>::adopt(this);  // the queue's
    if (!has_come_too_late()) home().core().wake(std::move(self));
  }

  bool has_come_too_late() {
    if (home().core().phase() < Core::Phase::refusing) [[likely]]
      return false;
    cancel();
    return true;
  }

  const Ref<Core> core_;
  absl::AnyInvocable<void()>
      callback_;  // is destroyed before the core's reference, as it may use it

  // Under the mutex of its RuntimeTimerList.
  RuntimeTimer* previous_in_list_ = nullptr;
  RuntimeTimer* next_in_list_ = this;  // itself: it is in none
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_RUNTIME_TIMER_H_
