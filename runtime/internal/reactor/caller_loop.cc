#include "epore/runtime/internal/reactor/caller_loop.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kRefusedWait = 50'000'000;

absl::Status is_shut_down(std::string_view call) {
  return absl::CancelledError(absl::StrCat(call, ": the runtime is shut down"));
}

std::int64_t deadline_after(Kernel& kernel, std::int64_t limit) {
  if (limit == kNever) return kNever;
  return saturating_add(kernel.now(), std::max<std::int64_t>(limit, 0));
}

}  // namespace

// The stay of a thread in the loop.
class CallerLoop::Entry {
 public:
  explicit Entry(CallerLoop& loop)
      : loop_(loop), is_in_(!loop.is_entered_.exchange(true, std::memory_order_acquire)) {
    if (is_in_ && !loop_.is_over()) loop_.reactor().enter();
  }
  ~Entry() {
    if (!is_in_) return;
    loop_.reactor().leave();
    loop_.is_entered_.store(false, std::memory_order_release);
    loop_.notify_waiters(Gate::By::bell);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  bool is_in() const { return is_in_; }

 private:
  CallerLoop& loop_;
  const bool is_in_;
};

// False also if the runtime could not start.
bool CallerLoop::is_on() const {
  return core_.options().dispatch == Dispatch::caller && !core_.reactors().empty();
}

bool CallerLoop::is_over() const { return core_.phase() == Core::Phase::stopped; }

Reactor& CallerLoop::reactor() const { return *core_.reactors().front(); }

absl::Status CallerLoop::check(std::string_view call) const {
  if (!core_.status().ok()) return core_.status();
  if (core_.options().dispatch != Dispatch::caller) {
    return absl::FailedPreconditionError(
        absl::StrCat(call, ": this runtime has threads of its own; see Dispatch::caller"));
  }
  if (this_thread.core != nullptr || this_thread.signals_of != nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(call, ": called from a callback or a task"));
  }
  return absl::OkStatus();
}

absl::Status CallerLoop::run_once(std::int64_t limit) {
  if (absl::Status bad = check("run_once"); !bad.ok()) return bad;
  const Entry entry(*this);
  if (!entry.is_in()) {
    return absl::FailedPreconditionError("run_once: another thread runs the loop");
  }
  if (is_over()) return is_shut_down("run_once");
  reactor().answer();
  if (core_.shutdown().is_requested()) core_.shutdown().begin_requested();
  turn(limit <= 0 ? 0 : deadline_after(core_.kernel(), limit), Gate::By::park);
  return is_over() ? is_shut_down("run_once") : absl::OkStatus();
}

absl::Status CallerLoop::run_until(absl::FunctionRef<bool()> condition, std::int64_t limit) {
  if (absl::Status bad = check("run_until"); !bad.ok()) return bad;
  const Entry entry(*this);
  if (!entry.is_in()) {
    return absl::FailedPreconditionError("run_until: another thread runs the loop");
  }
  const std::int64_t deadline = deadline_after(core_.kernel(), limit);
  if (drive(condition, deadline, Gate::By::park, /*begins_shutdown=*/true)) {
    return absl::OkStatus();
  }
  if (is_over()) return is_shut_down("run_until");
  return absl::DeadlineExceededError("run_until: the condition was not true in time");
}

absl::StatusOr<int> CallerLoop::poll_fd() {
  if (!core_.status().ok()) return core_.status();
  if (core_.options().dispatch != Dispatch::caller) {
    return absl::FailedPreconditionError(
        "poll_fd: this runtime has threads of its own; see Dispatch::caller");
  }
  return reactor().expose_fd();
}

std::int64_t CallerLoop::poll_timeout() const {
  if (!is_on() || is_over()) return kNever;
  Shutdown& shutdown = core_.shutdown();
  if (shutdown.is_requested() && shutdown.phase() == Core::Phase::running) return 0;
  const std::int64_t deadline = std::min(reactor().next_deadline(), shutdown.deadline());
  if (deadline == kNever) return kNever;
  return std::max<std::int64_t>(deadline - core_.kernel().now(), 0);
}

bool CallerLoop::wait(Gate& gate, absl::FunctionRef<bool()> condition, std::int64_t deadline,
                      Gate::By by) {
  if (!is_on()) return gate.wait(condition, deadline, by);
  // A callback of another runtime may be in a coroutine, which this loop must not resume in.
  const bool may_enter = this_thread.core == nullptr && this_thread.signals_of == nullptr;
  while (!is_over()) {
    if (may_enter) {
      const Entry entry(*this);
      if (entry.is_in()) {
        if (drive(condition, deadline, by, /*begins_shutdown=*/false)) return true;
        if (!is_over()) return false;  // the deadline
        break;
      }
    }
    waiters_.fetch_add(1, std::memory_order_acq_rel);
    const absl::Cleanup done = [this] { waiters_.fetch_sub(1, std::memory_order_acq_rel); };
    bool is_true = false;
    const bool is_awake = core_.shutdown().gate().wait(
        [&] {
          is_true = condition();
          return is_true || is_over() ||
                 (may_enter && !is_entered_.load(std::memory_order_acquire));
        },
        deadline, by);
    if (!is_awake || is_true) return is_true;
  }
  return gate.wait(condition, deadline, by);
}

void CallerLoop::wake() {
  if (is_on()) reactor().call();
}

// Runs turns, at least one, until the condition is true, the deadline has passed or the loop is
// over. Returns whether the condition is true.
bool CallerLoop::drive(absl::FunctionRef<bool()> condition, std::int64_t deadline, Gate::By by,
                       bool begins_shutdown) {
  Gate& gate = core_.shutdown().gate();
  const bool has_bell = by == Gate::By::bell;
  // Without memory for the bell in the event queue, this thread looks now and then.
  const bool polls_bell = has_bell && reactor().watch_bell(gate.bell());
  const absl::Cleanup done = [&] {
    if (polls_bell) reactor().ignore_bell(gate.bell());
  };
  for (bool has_turned = false;; has_turned = true) {
    reactor().answer();
    if (has_bell) gate.empty_bell();
    if (condition()) return true;
    if (is_over()) return false;
    if (begins_shutdown && core_.shutdown().is_requested()) core_.shutdown().begin_requested();
    std::int64_t until = deadline;
    if (has_turned && until != kNever && core_.kernel().now() >= until) return false;
    if (has_bell && !polls_bell) until = std::min(until, core_.kernel().now() + kRefusedWait);
    turn(until, by);
  }
}

void CallerLoop::turn(std::int64_t deadline, Gate::By by) {
  Shutdown& shutdown = core_.shutdown();
  if (shutdown.phase() != Core::Phase::running) shutdown.advance();
  if (!reactor().has_ended()) (void)reactor().turn(std::min(deadline, shutdown.deadline()));
  if (shutdown.phase() != Core::Phase::running) shutdown.advance();
  notify_waiters(by == Gate::By::bell ? Gate::By::park : Gate::By::bell);
}

// A thread that waits for the bell itself does not ring it: the next turn would not sleep.
void CallerLoop::notify_waiters(Gate::By by) {
  if (waiters_.fetch_add(0, std::memory_order_acq_rel) == 0) return;
  Gate& gate = core_.shutdown().gate();
  by == Gate::By::bell ? gate.notify() : gate.notify_parked();
}

}  // namespace epore::internal
