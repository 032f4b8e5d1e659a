#include "runtime/internal/signal_waiter.h"

#include <signal.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "poll/sys/signal_trap.h"
#include "runtime/internal/core.h"

namespace epore::internal {

absl::Status SignalWaiter::add(int signal, absl::AnyInvocable<void()> callback) {
  const bool is_valid = signal >= 1 && signal <= 64 && signal != SIGINT && signal != SIGTERM &&
                        signal != SIGKILL && signal != SIGSTOP;
  if (!is_valid) {
    return absl::InvalidArgumentError(
        absl::StrCat("on_signal(", signal, "): not a signal that a callback can be set for"));
  }
  absl::MutexLock lock(&mutex_);
  if (is_running_) {
    return absl::FailedPreconditionError(
        absl::StrCat("on_signal(", signal, "): run_until_signal() is running already"));
  }
  std::swap(callbacks_[signal], callback);  // the one before is destroyed without the lock
  return absl::OkStatus();
}

absl::Status SignalWaiter::run(Core& core) {
  if (!core.status().ok()) return core.status();
  if (core.is_own_thread()) {
    return absl::FailedPreconditionError("run_until_signal: called from a callback");
  }
  {
    absl::MutexLock lock(&mutex_);
    if (is_running_) {
      return absl::FailedPreconditionError("run_until_signal: it is running already");
    }
    is_running_ = true;
  }
  const absl::Cleanup done = [this] {
    absl::MutexLock lock(&mutex_);
    is_running_ = false;
  };
  std::vector<int> signals = {SIGINT, SIGTERM};
  for (const auto& [signal, callback] : callbacks_) signals.push_back(signal);
  absl::StatusOr<std::unique_ptr<SignalTrap>> trap =
      SignalTrap::set(core.kernel(), signals, core.gate().word());
  if (!trap.ok()) return trap.status();
  core.gate().wait([&] {
    return handle(core, **trap) || core.is_shutdown_requested() ||
           core.phase() != Core::Phase::running;
  });
  return core.shutdown(absl::ToInt64Nanoseconds(core.options().drain_timeout),
                       [&] { return handle(core, **trap); });
}

bool SignalWaiter::handle(Core& core, SignalTrap& trap) {
  const std::uint64_t caught = trap.take();
  for (auto& [signal, callback] : callbacks_) {
    if ((caught >> (signal - 1) & 1) != 0) core.call(callback);
  }
  const auto bit = [](int signal) { return std::uint64_t{1} << (signal - 1); };
  return (caught & (bit(SIGINT) | bit(SIGTERM))) != 0;
}

}  // namespace epore::internal
