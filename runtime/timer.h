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

// A Timer is a callback at a later time, once or periodically. Runtime::timer(),
// Connection::timer() and Order::timer() make one. It is not a clock and not a thread.
//
//   epore::Timer tick = runtime.timer([] { std::puts("tick"); });
//   tick.arm_every(absl::Seconds(1));
//
// Threads: any thread may call any method.
//
// Ownership, lifetime: a Timer is a handle. Copies name the same timer, may go to any thread, and
// may outlive the runtime. Dropping handles does not cancel. An armed timer lives until it has
// fired, and one that is not armed goes with its last handle. A callback may capture the handle of
// its own timer, to arm it again. The end of its connection or of the runtime destroys the callback
// and its captures; the handle then does nothing.
//
// Edges, guaranteed:
//
// 1. No timer fires early. Time is CLOCK_MONOTONIC, to the nanosecond where the system waits so.
// 2. The calls of one timer do not overlap. A period that ends during a call is merged into the
//    next.
// 3. A timer of a connection or an order runs in that order. A timer of a connection does not run
//    after on_closed.
//
// See clock_gettime(2), timers in docs/design.md.
class Timer {
 public:
  Timer();  // names no timer; every call does nothing
  Timer(const Timer&);
  Timer(Timer&&) noexcept;
  Timer& operator=(const Timer&);
  Timer& operator=(Timer&&) noexcept;
  ~Timer();

  // Fires once, `after` from now. With zero or less it fires in the next turn, and never inside
  // this call. With an infinite time it does not fire. An armed timer is armed anew.
  //
  // Returns whether the timer is armed now. It is not if this names no timer, or if its connection
  // or runtime has ended. Without memory it stays as it was, and this returns false.
  bool arm(absl::Duration after);

  // Fires every `interval` from now on. Periods that a busy runtime has missed are dropped, so
  // there is no burst. Returns as arm() does. An interval of zero or less is refused: the timer
  // stays as it was, and this returns false.
  bool arm_every(absl::Duration interval);

  // Disarms the timer. True: it was armed or due, and its callback will not be called. False: it
  // was not armed, or its callback has begun. In the order of a connection's or an order's timer,
  // the callback is certainly not called after cancel().
  bool cancel();

  // Whether the timer is armed: from arm() until its callback begins or cancel() is called. A
  // periodic timer is armed during its callback as well. Elsewhere than in the timer's own order,
  // another thread may change the answer at once.
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
