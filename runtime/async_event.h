#ifndef EPORE_RUNTIME_ASYNC_EVENT_H_
#define EPORE_RUNTIME_ASYNC_EVENT_H_

#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/wait_point.h"

namespace epore {

class AsyncEvent;

namespace internal {

class EventWait final : public PointOperation, public WithResult<EventWait> {
 public:
  using Value = void;

  explicit EventWait(WaitPoint& event) : PointOperation(event) {}
  EventWait(EventWait&&) = default;

  void take() {}

 private:
  const char* name() const override { return "AsyncEvent::wait"; }
};

}  // namespace internal

// An AsyncEvent is set or not, and tasks wait until it is set: a manual-reset event. (An Event is
// something else: what a Poll tells.)
//
//   epore::AsyncEvent is_loaded;
//   ...
//   co_await is_loaded.wait();  // in any number of tasks, of any orders
//   ...
//   is_loaded.set();            // in a task, a callback or any thread
//
// Threads: any thread may call set(), reset() and is_set(). What happened before set() is visible
// after wait().
//
// Lifetime: it must outlive the tasks that wait for it. It may be destroyed as soon as wait() has
// returned, also if the thread that has called set() is still in that call.
//
// It holds a lock for a few instructions only, and allocates nothing.
class AsyncEvent final : private internal::WaitPoint {
 public:
  explicit AsyncEvent(bool is_set = false) : is_set_(is_set) {}

  // Resumes all tasks that wait, each in its order, and never inside this call.
  void set();

  // Tasks wait from now on. Those that set() has resumed are not concerned.
  void reset();

  bool is_set() const;

  // Waits until it is set. Errors: those of a stop.
  [[nodiscard]] internal::EventWait wait() { return internal::EventWait(*this); }

 private:
  bool admit(const internal::PointOperation&) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return is_set_;
  }

  bool is_set_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore

#endif  // EPORE_RUNTIME_ASYNC_EVENT_H_
