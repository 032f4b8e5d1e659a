#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_TIMER_ENTRY_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_TIMER_ENTRY_H_

#include <cstdint>
#include <string>

#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/runnable.h"
#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// What a Timer names. While it is armed the queue has a reference to it, which goes to expired().
class TimerEntry : public TimerNode {
 public:
  void arm(std::int64_t after);
  void arm_every(std::int64_t interval);
  bool cancel();
  bool is_armed();

  std::string describe() const override { return "a timer"; }

 protected:
  TimerEntry(Reactor& home, Kind kind) : TimerNode(home, kind) {}

  // Right before the callback is called: whether it is still due.
  bool claim();

  // As cancel(), and nothing arms it from now on.
  void disable();

 private:
  void entered() override { add_ref(); }
  void set(std::int64_t deadline, std::int64_t interval);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_TIMER_ENTRY_H_
