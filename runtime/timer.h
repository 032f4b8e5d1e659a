#ifndef EPORE_RUNTIME_TIMER_H_
#define EPORE_RUNTIME_TIMER_H_

#include <cstddef>
#include <functional>
#include <utility>

#include "absl/time/time.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore {

namespace internal {
class TimerEntry;
}

// A callback at a later time, once or again and again. Made by Runtime::timer(),
// Connection::timer() and Order::timer().
//
//   epore::Timer tick = runtime.timer([] { std::puts("tick"); });
//   tick.arm_every(absl::Seconds(1));
//
// A handle: copies name the same timer, may go to any thread and may outlive the runtime. Dropping
// handles does not cancel: an armed timer keeps itself until it has fired; one that is not armed
// goes with its last handle.
//
// Guarantees: never early; by CLOCK_MONOTONIC, with nanoseconds where the kernel waits with them.
// One call at a time: a period that ends while the callback still runs is merged into the next.
// A timer of an order runs in it; one of a connection in the connection's order, and never after
// its `closed`.
//
// A callback may capture the handle of its own timer, to arm it again. The end of its connection,
// or of the runtime, destroys the callback and all that it has captured; the handle then does
// nothing.
//
// Threads: every method from any.
class Timer {
 public:
  Timer();  // names no timer; every call does nothing
  Timer(const Timer&);
  Timer(Timer&&) noexcept;
  Timer& operator=(const Timer&);
  Timer& operator=(Timer&&) noexcept;
  ~Timer();

  // Fires once, `after` from now; zero and negative: in the next turn, never inside this call. An
  // armed timer is armed anew. Infinite: never.
  void arm(absl::Duration after);

  // Fires every `interval` from now on, at least a nanosecond apart; no burst catches up on periods
  // that a busy runtime missed.
  void arm_every(absl::Duration interval);

  // Disarms. True: it was armed or due, and now will not be called. False: there was nothing to
  // prevent, because it is not armed or its callback has begun. After a cancel() in its own order
  // (a connection's or an order's timer, in their callbacks) it is certain not to be called.
  bool cancel();

  // Whether it waits or is due: from arm() until its callback begins, or cancel(). A periodic one
  // is armed during its callback as well. False after its connection's end, and if this names no
  // timer. Only in its own order is it certain to be so still when this returns.
  bool is_armed() const;

  // Whether both name the same timer, or none.
  friend bool operator==(const Timer& a, const Timer& b) {
    return a.entry_.get() == b.entry_.get();
  }
  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const Timer& timer) {
    return Hash::combine(std::move(hash), timer.entry_.get());
  }

 private:
  friend class Runtime;
  friend class Connection;
  friend class Order;
  friend struct std::hash<Timer>;
  explicit Timer(internal::Ref<internal::TimerEntry> entry);

  internal::Ref<internal::TimerEntry> entry_;
};

}  // namespace epore

template <>
struct std::hash<epore::Timer> {
  std::size_t operator()(const epore::Timer& timer) const {
    return std::hash<const void*>()(timer.entry_.get());
  }
};

#endif  // EPORE_RUNTIME_TIMER_H_
