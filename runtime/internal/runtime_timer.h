#ifndef EPORE_RUNTIME_INTERNAL_RUNTIME_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_RUNTIME_TIMER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/internal/core.h"
#include "runtime/internal/ref.h"
#include "runtime/internal/timer_entry.h"

namespace epore::internal {

// A timer of no connection: runs as a Runnable of its own.
//
// Its reference to the core has no member, as home() leads there: a hundred thousand timers that
// expire are as many pages of memory as they fill.
class RuntimeTimer final : public TimerEntry {
 public:
  RuntimeTimer(Ref<Core> core, Reactor& home, absl::AnyInvocable<void()> callback)
      : TimerEntry(home), callback_(std::move(callback)) {
    (void)core.release();
  }
  ~RuntimeTimer() override {
    callback_ = nullptr;  // first, as it may still use the core
    home().core().drop_ref();
  }

  void run() override {
    // What expired before the shutdown may come to its run after it.
    if (home().core().phase() >= Core::Phase::refusing) {
      cancel();
      return;
    }
    if (claim()) home().core().call(callback_);
    // Nobody is left who could arm it again: what it captured is destroyed here, where a relief
    // comes if that takes long. (A periodic one that is due already, and runs once more after this,
    // has no reference for that.)
    if (is_only_reference() && !is_armed()) callback_ = nullptr;
  }

 private:
  Ref<Runnable> expired() override { return Ref<RuntimeTimer>::adopt(this); }  // the wheel's

  absl::AnyInvocable<void()> callback_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_RUNTIME_TIMER_H_
