#ifndef EPORE_RUNTIME_SIGNAL_H_
#define EPORE_RUNTIME_SIGNAL_H_

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/wait_list.h"

namespace epore {

class Signal;

namespace internal {

class SignalState;
class SignalWaiter;

class SignalWait final : public ListedOperation, public WithResult<SignalWait> {
 public:
  using Value = void;

  explicit SignalWait(Signal& signal) : signal_(&signal) {}
  SignalWait(SignalWait&&) = default;  // before it begins

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  void take();

 private:
  void cancel(const absl::Status& why) override;
  const char* name() const override { return "Signal::wait"; }

  Signal* signal_;
};

}  // namespace internal

// A Signal tells tasks that a signal has come: one that the program has named with
// Runtime::on_signal().
//
//   absl::StatusOr<epore::Signal> hangup = runtime.on_signal(SIGHUP);
//   if (!hangup.ok()) return epore::report(hangup.status());
//   runtime.spawn([&config](epore::Signal asked) -> epore::Task<> {
//     while (true) {
//       co_await asked.wait();
//       config.reload();
//     }
//   }, *hangup);
//   return epore::report(runtime.run_until_signal());
//
// Ownership, lifetime: a Signal is a handle that remembers what it has told. Each task has a copy
// of its own, and each copy tells each signal. It may outlive the runtime.
//
// Threads: any, but one at a time uses a copy.
//
// A wait() cannot know whether anybody will ever call run_until_signal(), so it waits all the same:
// a program that only calls run() is told of nothing, and the signal does what the system does with
// it.
//
// Edges, guaranteed: no signal is lost from catch_signals() or run_until_signal() on, also while no
// task waits. Several that come before a task looks are told once, as the system does itself.
class Signal {
 public:
  Signal();  // names no signal
  Signal(const Signal&);
  Signal(Signal&&) noexcept;
  Signal& operator=(const Signal&);
  Signal& operator=(Signal&&) noexcept;
  ~Signal();

  // Waits until the signal comes, or has come since the last wait of this copy. The copy stays
  // where it is meanwhile. It is told while a thread is in run_until_signal(). Errors:
  // FailedPrecondition if this names no signal; Cancelled when the task is stopped, as a shutdown
  // does.
  [[nodiscard]] internal::SignalWait wait() { return internal::SignalWait(*this); }

 private:
  friend class internal::SignalWait;
  friend class internal::SignalWaiter;
  explicit Signal(internal::Ref<internal::SignalState> state);

  internal::Ref<internal::SignalState> state_;
  std::uint64_t told_ = 0;  // how many of the state's signals
};

}  // namespace epore

#endif  // EPORE_RUNTIME_SIGNAL_H_
