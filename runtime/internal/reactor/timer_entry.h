#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_TIMER_ENTRY_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_TIMER_ENTRY_H_

#include <cstdint>
#include <string>

#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/runnable.h"
#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// A TimerEntry is what a Timer names. While it is armed, the queue holds a reference to it.
// expired() takes this reference over.
class TimerEntry : public PeriodicNode {
 public:
  bool arm(std::int64_t after);
  bool arm_every(std::int64_t interval);
  bool cancel();
  bool is_armed();

  std::string describe() const override { return "a timer"; }

 protected:
  TimerEntry(Reactor& home, Kind kind) : PeriodicNode(home, kind) {}

  // Called right before the callback. Returns false if the timer was cancelled or armed anew.
  bool claim();

  // As cancel(), and every later arm() does nothing.
  void disable();

 private:
  void entered() override { add_ref(); }
  bool set(std::int64_t deadline, std::int64_t interval);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_TIMER_ENTRY_H_
