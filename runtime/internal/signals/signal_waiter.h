#ifndef EPORE_RUNTIME_INTERNAL_SIGNALS_SIGNAL_WAITER_H_
#define EPORE_RUNTIME_INTERNAL_SIGNALS_SIGNAL_WAITER_H_

#include <cstdint>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/signals/signal_state.h"
#include "epore/runtime/signal.h"

namespace epore {
class SignalTrap;
}

namespace epore::internal {

class Core;
class ServiceManager;

// A SignalWaiter implements Runtime::catch_signals(), run_until_signal() and on_signal().
class SignalWaiter {
 public:
  SignalWaiter();
  ~SignalWaiter();

  absl::Status add(int signal, absl::AnyInvocable<void()> callback);
  absl::Status catch_signals(Core& core);

  // As add(), for tasks.
  absl::StatusOr<Signal> add(int signal);

  // `manager` is told, unless it is null.
  absl::Status run(Core& core, const ServiceManager* manager);

  // At the end of the runtime: restores the handlers that were there before. Does nothing while
  // run() is returning on another thread, which restores them itself.
  void release();

 private:
  // Lets this thread in: one thread at a time sets or handles signals. `call` is named in errors.
  absl::Status enter(const char* call);
  absl::Status set_trap(Core& core);
  void leave();
  absl::Status wait(Core& core, const ServiceManager* manager);
  absl::Status check_not_caught(int signal) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Calls the callbacks of the signals that have come. Returns whether SIGINT or SIGTERM was one.
  bool handle(Core& core);

  absl::Mutex mutex_;
  bool is_entered_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_catching_ ABSL_GUARDED_BY(mutex_) = false;

  // The thread that was let in only.
  std::map<int, Ref<SignalState>> signals_;              // as callbacks_
  std::map<int, absl::AnyInvocable<void()>> callbacks_;  // add() writes under mutex_, with no trap
  std::unique_ptr<SignalTrap> trap_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_SIGNALS_SIGNAL_WAITER_H_
