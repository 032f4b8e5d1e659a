#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_LISTED_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_LISTED_TIMER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/timer_entry.h"

namespace epore::internal {

// A ListedTimer is a timer that belongs to no connection. It is in the list of its reactor, so that
// the end of the runtime destroys its callback.
class ListedTimer : public TimerEntry {
 public:
  // Puts the timer into the list. Returns false if the runtime has ended; the caller then drops it.
  bool list() { return home().listed_timers().add(*this); }

  // At the end of the runtime, when no thread can be in the callback any more.
  void drop_callback() { callback_ = nullptr; }

 protected:
  ListedTimer(Ref<Core> core, Reactor& home, Kind kind, absl::AnyInvocable<void()> callback)
      : TimerEntry(home, kind), core_(std::move(core)), callback_(std::move(callback)) {}
  ~ListedTimer() override { home().listed_timers().remove(*this); }

  Core& core() const { return *core_; }

 private:
  const Ref<Core> core_;

 protected:
  // Declared after core_, so that it is destroyed first: its destructor may use the core.
  absl::AnyInvocable<void()> callback_;

 private:
  friend class ListedTimers;

  // Under the mutex of the list.
  ListedTimer* previous_in_list_ = nullptr;
  ListedTimer* next_in_list_ = this;  // itself while the timer is in no list
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_LISTED_TIMER_H_
