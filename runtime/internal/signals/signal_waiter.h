#ifndef EPORE_RUNTIME_INTERNAL_SIGNALS_SIGNAL_WAITER_H_
#define EPORE_RUNTIME_INTERNAL_SIGNALS_SIGNAL_WAITER_H_

#include <cstdint>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace epore {
class SignalTrap;
}

namespace epore::internal {

class Core;

// Runtime::catch_signals(), run_until_signal() and the callbacks for other signals.
class SignalWaiter {
 public:
  SignalWaiter();
  ~SignalWaiter();

  absl::Status add(int signal, absl::AnyInvocable<void()> callback);
  absl::Status catch_signals(Core& core);
  absl::Status run(Core& core);

  // For the end of the runtime: the handlers of before come back. A run() that is returning on
  // another thread does that itself.
  void release();

 private:
  // Makes the handlers this thread's business; the call that it is for is named in errors.
  absl::Status claim(const char* call);
  absl::Status set_trap(Core& core);
  void unclaim();

  // Calls the callbacks of what has come; true if it was time to end.
  bool handle(Core& core);

  absl::Mutex mutex_;
  bool is_claimed_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_catching_ ABSL_GUARDED_BY(mutex_) = false;

  // Of the thread that has claimed.
  std::map<int, absl::AnyInvocable<void()>> callbacks_;  // set under mutex_, unclaimed, no trap
  std::unique_ptr<SignalTrap> trap_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_SIGNALS_SIGNAL_WAITER_H_
