#ifndef EPORE_RUNTIME_INTERNAL_TIMER_ENTRY_H_
#define EPORE_RUNTIME_INTERNAL_TIMER_ENTRY_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "runtime/internal/core.h"
#include "runtime/internal/ref.h"
#include "runtime/internal/runnable.h"
#include "runtime/internal/timer_wheel.h"

namespace epore {
class Connection;
}

namespace epore::internal {

class Stream;

// What a Timer names. While it is armed the wheel has a reference to it, which goes to expired().
// One of a connection runs in the connection's order, and is in its list so that its end reaches
// it.
class TimerEntry final : public Runnable, private TimerNode {
 public:
  using Callback = absl::AnyInvocable<void(Connection&)>;

  // `stream` may be null.
  TimerEntry(Ref<Core> core, Reactor& home, Ref<Stream> stream, Callback callback);
  ~TimerEntry() override;

  void arm(std::int64_t after);
  void arm_every(std::int64_t interval);
  bool cancel();
  bool is_armed();

  // Runs the callback if it is still due: as a Runnable of its own, or in the connection's order.
  void run() override;
  std::string describe() const override { return "a timer"; }
  void fire();

  // After its list was closed, in the connection's order.
  void drop_callback() { callback_ = nullptr; }

 private:
  friend class TimerList;

  void expired() override;
  void entered() override { add_ref(); }
  void set(std::int64_t deadline, std::int64_t interval);
  bool claim();

  const Ref<Core> core_;
  const Ref<Stream> stream_;
  Callback callback_;
  std::atomic<bool> is_dead_{false};      // its connection has ended
  std::atomic<bool> is_periodic_{false};  // a hint, as of the last set()

  TimerEntry* previous_in_list_ = nullptr;  // under the reactor's timer_lists()
  TimerEntry* next_in_list_ = nullptr;
  std::atomic<bool> is_in_list_{false};  // changed under the lock, read by the destructor before it
};

// The timers of one connection. Guarded by the reactor's timer_lists().
class TimerList {
 public:
  // False: the list is closed, and the timer dead.
  bool add(TimerEntry& entry, absl::Mutex& mutex);
  void remove(TimerEntry& entry, absl::Mutex& mutex);

  // In the connection's order, at its end: cancels all, and returns them for drop_callback().
  [[nodiscard]] std::vector<Ref<TimerEntry>> close(absl::Mutex& mutex);

 private:
  static TimerEntry* closed() { return reinterpret_cast<TimerEntry*>(std::uintptr_t{1}); }

  TimerEntry* first_ = nullptr;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMER_ENTRY_H_
