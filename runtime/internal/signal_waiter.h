#ifndef EPORE_RUNTIME_INTERNAL_SIGNAL_WAITER_H_
#define EPORE_RUNTIME_INTERNAL_SIGNAL_WAITER_H_

#include <cstdint>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace epore {
class SignalTrap;
}

namespace epore::internal {

class Core;

// Runtime::run_until_signal() and the callbacks for other signals.
class SignalWaiter {
 public:
  absl::Status add(int signal, absl::AnyInvocable<void()> callback);
  absl::Status run(Core& core);

 private:
  // Calls the callbacks of what has come; true if it was time to end.
  bool handle(Core& core, SignalTrap& trap);

  absl::Mutex mutex_;
  bool is_running_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<int, absl::AnyInvocable<void()>> callbacks_;  // unchanged while running
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_SIGNAL_WAITER_H_
