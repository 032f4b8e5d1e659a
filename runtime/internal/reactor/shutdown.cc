#include "epore/runtime/internal/reactor/shutdown.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/reactor/core.h"

namespace epore::internal {

bool Shutdown::begin_activity() { return begin(kActivity); }
void Shutdown::end_activity() { end(kActivity); }

bool Shutdown::begin_lingering() { return begin(kLingering); }
void Shutdown::end_lingering() { end(kLingering); }

bool Shutdown::begin(std::uint64_t activity) {
  activities_.fetch_add(activity, std::memory_order_seq_cst);
  if (phase() < Phase::refusing) return true;
  end(activity);
  return false;
}

void Shutdown::end(std::uint64_t activity) {
  activities_.fetch_sub(activity, std::memory_order_seq_cst);
  if (phase() != Phase::running) notify();
}

void Shutdown::request() {
  if (core_.is_forked()) return;  // the descriptors are those of the parent, too
  is_requested_.store(true, std::memory_order_release);
  notify();
}

void Shutdown::notify() {
  gate_.notify();
  core_.caller_loop().wake();
}

// Returns whether this call begins the shutdown.
bool Shutdown::begin_shutdown(std::int64_t drain_timeout) {
  if (has_begun_.exchange(true, std::memory_order_acq_rel) || !core_.status().ok()) return false;
  deadline_ = saturating_add(core_.kernel().now(), std::max<std::int64_t>(drain_timeout, 0));
  // An activity that begins from here on sees the phase, and drains by itself.
  enter(Phase::draining);
  tell(ShutdownStep::drain);
  return true;
}

absl::Status Shutdown::run(std::int64_t drain_timeout, absl::AnyInvocable<bool()> is_cut_short,
                           Gate::By by) {
  if (core_.is_forked()) return Core::forked("Runtime::shutdown");
  if (core_.would_wait_for_itself()) {
    return absl::FailedPreconditionError(
        "Runtime::shutdown: called from a callback, it would wait for itself; use "
        "request_shutdown()");
  }
  if (!begin_shutdown(drain_timeout) || core_.options().dispatch == Dispatch::caller) {
    wait_for_the_other(is_cut_short, by);
    return absl::OkStatus();
  }
  const auto is_cut = [&] { return is_cut_short() || cut_short_.load(std::memory_order_acquire); };
  const auto is_over = [&] { return go_on(is_cut); };
  while (!gate_.wait(is_over, is_cut_off() ? kNever : deadline_, by)) {
  }
  return absl::OkStatus();
}

void Shutdown::begin_requested() {
  (void)begin_shutdown(absl::ToInt64Nanoseconds(core_.options().drain_timeout));
}

void Shutdown::advance() {
  (void)go_on([this] { return cut_short_.load(std::memory_order_acquire); });
}

std::int64_t Shutdown::deadline() const {
  const Phase now = phase();
  return now == Phase::draining || now == Phase::refusing ? deadline_ : kNever;
}

void Shutdown::abandon() {
  stage_ = Stage::emptying;
  const auto never = [] { return false; };
  gate_.wait([&] { return go_on(never); });
}

void Shutdown::wait_for_the_other(absl::AnyInvocable<bool()>& is_cut_short, Gate::By by) {
  const auto is_over = [&] {
    if (is_cut_short() && !cut_short_.exchange(true, std::memory_order_acq_rel)) notify();
    if (is_late()) cut_off();
    return phase() == Phase::stopped;
  };
  while (!core_.caller_loop().wait(gate_, is_over, is_idle() ? kNever : deadline(), by)) {
  }
}

// Dispatch::caller: whether it is time to cut off. The thread in the loop looks between its turns
// only, and may be in a callback that blocks. So threads that wait for the end look as well.
bool Shutdown::is_late() const {
  if (core_.options().dispatch != Dispatch::caller) return false;
  const Phase now = phase();
  if ((now != Phase::draining && now != Phase::refusing) || is_idle()) return false;
  return cut_short_.load(std::memory_order_acquire) ||
         (deadline_ != kNever && core_.kernel().now() >= deadline_);
}

// Finishes the stages whose conditions are true. Returns whether the shutdown is over.
bool Shutdown::go_on(absl::FunctionRef<bool()> is_cut_short) {
  while (stage_ != Stage::over) {
    if (!finish_stage(is_cut_short)) return false;
  }
  return true;
}

bool Shutdown::finish_stage(absl::FunctionRef<bool()> is_cut_short) {
  switch (stage_) {
    // Tasks that serve no connection go on until the connections are done, which may need them.
    case Stage::serving:
      if (!is_done_or_cut(serves_nobody(), is_cut_short)) return false;
      core_.tasks().stop();
      stage_ = Stage::draining;
      return true;
    case Stage::draining:
      if (!is_done_or_cut(only_lingers(), is_cut_short)) return false;
      if (phase() < Phase::refusing) {
        enter(Phase::refusing);
        tell(ShutdownStep::abort);  // to activities that have begun since, and to those that linger
      }
      stage_ = Stage::emptying;
      return true;
    case Stage::emptying:
      if (!is_done_or_cut(is_idle(), is_cut_short) || !is_idle()) return false;
      stop_threads();
      stage_ = Stage::workers;
      return true;
    case Stage::workers:
      if (!is_done_or_cut(core_.workers().has_ended(), is_cut_short)) return false;
      core_.workers().join();
      for (const auto& reactor : core_.reactors()) reactor->request_stop();
      stage_ = Stage::poll_threads;
      return true;
    case Stage::poll_threads:
      if (!is_done_or_cut(have_ended(), is_cut_short)) return false;
      if (core_.options().dispatch == Dispatch::caller && !have_ended()) return false;
      for (const auto& reactor : core_.reactors()) reactor->join();
      for (const auto& reactor : core_.reactors()) {
        reactor->clear();
        reactor->listed_timers().close();
      }
      stage_ = Stage::over;
      enter(Phase::stopped);
      gate_.notify();
      return true;
    case Stage::over:
      return true;
  }
  return true;
}

// Whether the condition of a stage is true, or is waited for no longer. At the deadline or the
// second signal it cuts the runtime off.
bool Shutdown::is_done_or_cut(bool is_done, absl::FunctionRef<bool()> is_cut_short) {
  if (is_done || is_cut_off()) return true;
  if (!is_cut_short() && (deadline_ == kNever || core_.kernel().now() < deadline_)) return false;
  cut_off();
  return true;
}

// Whether only tasks are left, with the connections that they have made.
bool Shutdown::serves_nobody() const { return active() <= core_.tasks().connections(); }

// A task that begins counts as an activity until it is in the list, so the activities come first.
bool Shutdown::only_lingers() const { return active() == 0 && core_.tasks().empty(); }

bool Shutdown::is_idle() const {
  return activities_.load(std::memory_order_seq_cst) == 0 && core_.tasks().empty();
}

// With Dispatch::caller two threads may enter phases at once, so it goes forward only.
void Shutdown::enter(Phase phase) {
  Phase now = phase_.load(std::memory_order_seq_cst);
  while (now < phase && !phase_.compare_exchange_weak(now, phase, std::memory_order_seq_cst)) {
  }
}

void Shutdown::cut_off() {
  enter(Phase::aborting);
  tell(ShutdownStep::abort);
  core_.tasks().stop();
}

void Shutdown::tell(ShutdownStep step) {
  for (const std::unique_ptr<Reactor>& reactor : core_.reactors()) reactor->request_shutdown(step);
}

void Shutdown::stop_threads() {
  core_.resolver().stop();
  core_.blocking().stop();  // no task is left, so nothing runs there
  core_.lanes().stop();
  for (const auto& reactor : core_.reactors()) reactor->timers().close();
  core_.watchdog().stop();
  // Workers end first. Their last runs may submit work to the poll threads, which run everything
  // themselves once no worker is left.
  core_.workers().request_stop();
}

bool Shutdown::have_ended() const {
  const auto& reactors = core_.reactors();
  return std::all_of(reactors.begin(), reactors.end(),
                     [](const auto& reactor) { return reactor->has_ended(); });
}

}  // namespace epore::internal
