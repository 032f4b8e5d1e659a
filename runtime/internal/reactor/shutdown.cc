#include "epore/runtime/internal/reactor/shutdown.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
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
  if (phase() != Phase::running) gate_.notify();
}

void Shutdown::request() {
  is_requested_.store(true, std::memory_order_release);
  gate_.notify();
}

absl::Status Shutdown::run(std::int64_t drain_timeout, absl::AnyInvocable<bool()> is_cut_short,
                           Gate::By by) {
  if (core_.would_wait_for_itself()) {
    return absl::FailedPreconditionError(
        "Runtime::shutdown: called from a callback, it would wait for itself; use "
        "request_shutdown()");
  }
  if (has_begun_.exchange(true, std::memory_order_acq_rel) || !core_.status().ok()) {
    wait_for_the_other(is_cut_short, by);
    return absl::OkStatus();
  }
  const auto is_cut = [&] { return is_cut_short() || cut_short_.load(std::memory_order_acquire); };
  // An activity that begins from here on sees the phase, and drains by itself.
  enter(Phase::draining);
  tell(ShutdownStep::drain);
  const std::int64_t deadline =
      saturating_add(core_.kernel().now(), std::max<std::int64_t>(drain_timeout, 0));
  const Waiting waiting{deadline, is_cut, by};
  // Tasks that serve no connection go on until the connections are done, which may need them.
  await([this] { return serves_nobody(); }, waiting);
  core_.tasks().stop();
  await([this] { return only_lingers(); }, waiting);
  if (phase() < Phase::refusing) {
    enter(Phase::refusing);
    tell(ShutdownStep::abort);  // to activities that have begun since, and to those that linger
    await([this] { return is_idle(); }, waiting);
  }
  gate_.wait([this] { return is_idle(); });
  stop_threads(waiting);
  enter(Phase::stopped);
  gate_.notify();
  return absl::OkStatus();
}

void Shutdown::abandon() {
  stop_threads({kNever, [] { return false; }, Gate::By::park});
  enter(Phase::stopped);
}

void Shutdown::wait_for_the_other(absl::AnyInvocable<bool()>& is_cut_short, Gate::By by) {
  const auto is_over = [&] {
    if (is_cut_short() && !cut_short_.exchange(true, std::memory_order_acq_rel)) gate_.notify();
    return phase() == Phase::stopped;
  };
  gate_.wait(is_over, kNever, by);
}

// Whether only tasks are left, with the connections that they have made.
bool Shutdown::serves_nobody() const { return active() <= core_.tasks().connections(); }

// A task that begins counts as an activity until it is in the list, so the activities come first.
bool Shutdown::only_lingers() const { return active() == 0 && core_.tasks().empty(); }

bool Shutdown::is_idle() const {
  return activities_.load(std::memory_order_seq_cst) == 0 && core_.tasks().empty();
}

void Shutdown::enter(Phase phase) { phase_.store(phase, std::memory_order_seq_cst); }

// Waits for `is_done`. At the deadline or the second signal it cuts the runtime off and returns.
void Shutdown::await(absl::FunctionRef<bool()> is_done, const Waiting& waiting) {
  if (is_cut_off()) return;
  bool is_in_time = false;
  gate_.wait(
      [&] {
        is_in_time = is_done();
        return is_in_time || waiting.is_cut_short();
      },
      waiting.deadline, waiting.by);
  if (!is_in_time) cut_off();
}

void Shutdown::cut_off() {
  enter(Phase::aborting);
  tell(ShutdownStep::abort);
  core_.tasks().stop();
}

void Shutdown::tell(ShutdownStep step) {
  for (const std::unique_ptr<Reactor>& reactor : core_.reactors()) reactor->request_shutdown(step);
}

void Shutdown::stop_threads(const Waiting& waiting) {
  const std::vector<std::unique_ptr<Reactor>>& reactors = core_.reactors();
  core_.resolver().stop();
  core_.blocking().stop();  // no task is left, so nothing runs there
  core_.lanes().stop();
  for (const std::unique_ptr<Reactor>& reactor : reactors) reactor->timers().close();
  core_.watchdog().stop();
  // Workers end first. Their last runs may submit work to the poll threads, which run everything
  // themselves once no worker is left.
  WorkerPool& workers = core_.workers();
  workers.request_stop();
  await([&] { return workers.has_ended(); }, waiting);
  workers.join();
  for (const std::unique_ptr<Reactor>& reactor : reactors) reactor->request_stop();
  await(
      [&] {
        return std::all_of(reactors.begin(), reactors.end(),
                           [](const auto& reactor) { return reactor->has_ended(); });
      },
      waiting);
  for (const std::unique_ptr<Reactor>& reactor : reactors) reactor->join();
  for (const std::unique_ptr<Reactor>& reactor : reactors) {
    reactor->clear();
    reactor->listed_timers().close();
  }
}

}  // namespace epore::internal
