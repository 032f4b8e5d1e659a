#include "epore/runtime/internal/signals/signal_waiter.h"

#include <signal.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/signal_trap.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/signals/service_manager.h"

namespace epore::internal {

namespace {

constexpr std::uint64_t bit(int signal) { return std::uint64_t{1} << (signal - 1); }

// Returns why no callback can be set for a signal, or null if one can.
const char* why_not(int signal) {
  switch (signal) {
    case SIGINT:
    case SIGTERM:
      return "it ends run_until_signal()";
    case SIGKILL:
    case SIGSTOP:
      return "no program can catch it";
    // The handler would return to the instruction that raised the signal, and so on for ever.
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
    case SIGABRT:
      return "it is a fault of the program, which cannot go on to a callback";
    default:
      return signal >= 1 && signal <= 64 ? nullptr : "signals are from 1 to 64";
  }
}

absl::Status check_signal(int signal) {
  const char* const why = why_not(signal);
  if (why == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("on_signal(", signal, "): ", why));
}

// What a service manager is told waits for so long while its queue is full.
constexpr std::int64_t kTellLimit = 5'000'000'000;

}  // namespace

SignalWaiter::SignalWaiter() = default;
SignalWaiter::~SignalWaiter() = default;

absl::Status SignalWaiter::add(int signal, absl::AnyInvocable<void()> callback) {
  if (absl::Status bad = check_signal(signal); !bad.ok()) return bad;
  if (!callback) {
    return absl::InvalidArgumentError(
        absl::StrCat("on_signal(", signal, "): the callback is null"));
  }
  absl::MutexLock lock(&mutex_);
  if (absl::Status bad = check_not_caught(signal); !bad.ok()) return bad;
  std::swap(callbacks_[signal], callback);  // the old callback is destroyed without the lock
  return absl::OkStatus();
}

absl::StatusOr<Signal> SignalWaiter::add(int signal) {
  if (absl::Status bad = check_signal(signal); !bad.ok()) return bad;
  absl::MutexLock lock(&mutex_);
  if (absl::Status bad = check_not_caught(signal); !bad.ok()) return bad;
  if (const auto found = signals_.find(signal); found != signals_.end()) {
    return Signal(found->second);
  }
  auto state = Ref<SignalState>::adopt(new SignalState());  // first: handle() finds no null one
  signals_.emplace(signal, state);
  return Signal(std::move(state));
}

absl::Status SignalWaiter::check_not_caught(int signal) const {
  if (!is_entered_ && !is_catching_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("on_signal(", signal, "): signals are being caught already"));
}

absl::Status SignalWaiter::catch_signals(Core& core) {
  if (!core.status().ok()) return core.status();
  if (absl::Status bad = enter("catch_signals"); !bad.ok()) return bad;
  const absl::Cleanup done = [this] { leave(); };
  return set_trap(core);
}

absl::Status SignalWaiter::run(Core& core, const ServiceManager* manager) {
  if (!core.status().ok()) return core.status();
  if (core.would_wait_for_itself()) {
    return absl::FailedPreconditionError("run_until_signal: called from a callback");
  }
  if (absl::Status bad = enter("run_until_signal"); !bad.ok()) return bad;
  const absl::Cleanup done = [this] { leave(); };
  if (absl::Status bad = set_trap(core); !bad.ok()) return bad;
  absl::Status ended = wait(core, manager);
  trap_.reset();
  return ended;
}

absl::Status SignalWaiter::wait(Core& core, const ServiceManager* manager) {
  const UnblockedSignals unblocked(trap_->signals());
  const auto has_begun = [&] {
    return core.shutdown().is_requested() || core.phase() != Core::Phase::running;
  };
  // If the shutdown has begun without a signal, the first signal cuts it short.
  Gate& gate = core.shutdown().gate();
  if (manager != nullptr) {
    if (absl::Status told = manager->tell("READY=1", kTellLimit); !told.ok()) return told;
  }
  core.caller_loop().wait(
      gate, [&] { return has_begun() || handle(core); }, kNever, Gate::By::bell);
  if (manager != nullptr) {
    if (absl::Status told = manager->tell("STOPPING=1", 0); !told.ok()) {
      tell([&] { LOG(ERROR) << "epore: " << told.message(); });
    }
  }
  return core.shutdown().run(
      absl::ToInt64Nanoseconds(core.options().drain_timeout), [&] { return handle(core); },
      Gate::By::bell);
}

void SignalWaiter::release() {
  if (!enter("release").ok()) return;  // run() is about to restore them
  trap_.reset();
  leave();
}

absl::Status SignalWaiter::enter(const char* call) {
  absl::MutexLock lock(&mutex_);
  if (is_entered_) {
    return absl::FailedPreconditionError(
        absl::StrCat(call, ": another thread is in run_until_signal() or catch_signals()"));
  }
  is_entered_ = true;
  return absl::OkStatus();
}

absl::Status SignalWaiter::set_trap(Core& core) {
  if (trap_ != nullptr) return absl::OkStatus();
  Gate& gate = core.shutdown().gate();
  if (absl::Status hung = gate.hang_bell(); !hung.ok()) return hung;
  constexpr std::uint64_t kEnds = bit(SIGINT) | bit(SIGTERM);
  std::uint64_t signals = kEnds;
  for (const auto& [signal, callback] : callbacks_) signals |= bit(signal);
  for (const auto& [signal, state] : signals_) signals |= bit(signal);
  absl::StatusOr<std::unique_ptr<SignalTrap>> trap =
      SignalTrap::set(core.kernel(), signals, /*unless_ignored=*/kEnds, gate.bell());
  if (trap.ok()) trap_ = *std::move(trap);
  return trap.status();
}

void SignalWaiter::leave() {
  absl::MutexLock lock(&mutex_);
  is_entered_ = false;
  is_catching_ = trap_ != nullptr;
}

bool SignalWaiter::handle(Core& core) {
  const std::uint64_t caught = trap_->take();
  if (caught == 0) return false;
  // An activity: a shutdown() of another thread must not return while a callback runs.
  if (core.begin_activity()) {
    this_thread.signals_of = &core;
    for (auto& [signal, callback] : callbacks_) {
      if ((caught & bit(signal)) != 0 && !core.is_cut_off()) core.call(callback);
    }
    this_thread.signals_of = nullptr;
    for (const auto& [signal, state] : signals_) {
      if ((caught & bit(signal)) != 0) state->came();
    }
    core.end_activity();
  }
  return (caught & (bit(SIGINT) | bit(SIGTERM))) != 0;
}

}  // namespace epore::internal
