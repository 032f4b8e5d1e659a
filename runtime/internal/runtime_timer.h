#ifndef EPORE_RUNTIME_INTERNAL_RUNTIME_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_RUNTIME_TIMER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/internal/core.h"
#include "runtime/internal/ref.h"
#include "runtime/internal/timer_entry.h"

namespace epore::internal {

// A timer of no connection: runs as a Runnable of its own.
class RuntimeTimer final : public TimerEntry {
 public:
  RuntimeTimer(Ref<Core> core, Reactor& home, absl::AnyInvocable<void()> callback)
      : TimerEntry(home), core_(std::move(core)), callback_(std::move(callback)) {}

  void run() override {
    // What expired before the shutdown may come to its run after it.
    if (core_->phase() >= Core::Phase::refusing) {
      cancel();
      return;
    }
    if (!claim()) return;
    core_->call(callback_);
    // Nobody is left who could arm it again: what it captured is destroyed here, where a relief
    // comes if that takes long.
    if (is_only_reference()) callback_ = nullptr;
  }

 private:
  void due(Ref<TimerEntry> self) override { core_->wake(std::move(self)); }

  const Ref<Core> core_;
  absl::AnyInvocable<void()> callback_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_RUNTIME_TIMER_H_
