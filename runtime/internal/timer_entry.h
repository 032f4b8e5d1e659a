#ifndef EPORE_RUNTIME_INTERNAL_TIMER_ENTRY_H_
#define EPORE_RUNTIME_INTERNAL_TIMER_ENTRY_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "runtime/internal/ref.h"
#include "runtime/internal/runnable.h"
#include "runtime/internal/timer_node.h"

namespace epore::internal {

// What a Timer names. While it is armed the wheel has a reference to it, which goes to expired().
class TimerEntry : public Runnable, private TimerNode {
 public:
  void arm(std::int64_t after);
  void arm_every(std::int64_t interval);
  bool cancel();
  bool is_armed();

  std::string describe() const override { return "a timer"; }

 protected:
  explicit TimerEntry(Reactor& home) : Runnable(home, Kind::passing) {}

  // Right before the callback is called: whether it is still due.
  bool claim();

  // Nothing arms it from now on; what is armed is still to be cancelled.
  void die() { is_dead_.store(true, std::memory_order_release); }
  bool is_dead() const { return is_dead_.load(std::memory_order_acquire); }

 private:
  void entered() override { add_ref(); }
  bool claim_period();
  void set(std::int64_t deadline, std::int64_t interval);

  std::atomic<bool> is_dead_{false};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMER_ENTRY_H_
