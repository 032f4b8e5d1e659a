#include "epore/runtime/internal/reactor/shutdown.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/slot_table.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kReportInterval = 1'000'000'000;  // ns

// The most bytes of a task in the log.
constexpr std::size_t kLongestTask = 1000;

// Adds "NAME: COUNT (ONE OF THEM)".
void add(std::string& text, std::string_view name, std::uint64_t count, std::string_view one) {
  if (count == 0) return;
  absl::StrAppend(&text, text.empty() ? "" : ", ", name, ": ", count);
  if (!one.empty()) absl::StrAppend(&text, " (", one, ")");
}

// The lines of a task as one line.
std::string in_one_line(std::string_view lines) {
  std::string text;
  for (std::string_view line : absl::StrSplit(lines, '\n')) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", absl::StripAsciiWhitespace(line));
  }
  if (text.size() > kLongestTask) text = text.substr(0, kLongestTask) + "...";
  return text;
}

}  // namespace

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
  began_ = core_.kernel().now();
  deadline_ = saturating_add(began_, std::max<std::int64_t>(drain_timeout, 0));
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
  bool is_over = false;
  while (!is_over) {
    const bool was_cut_off = is_cut_off();
    const auto is_to_look = [&] {
      is_over = go_on(is_cut);
      return is_over || is_cut_off() != was_cut_off;
    };
    if (!gate_.wait(is_to_look, was_cut_off ? deadline() : deadline_, by)) report_in_time();
  }
  return absl::OkStatus();
}

void Shutdown::begin_requested() {
  (void)begin_shutdown(absl::ToInt64Nanoseconds(core_.options().drain_timeout));
}

void Shutdown::advance() {
  (void)go_on([this] { return cut_short_.load(std::memory_order_acquire); });
  report_in_time();
}

std::int64_t Shutdown::deadline() const {
  switch (phase()) {
    case Phase::draining:
    case Phase::refusing:
      return deadline_;
    case Phase::aborting:
      return next_report_.load(std::memory_order_acquire);
    case Phase::running:
    case Phase::stopped:
      break;
  }
  return kNever;
}

void Shutdown::abandon() {
  stage_ = Stage::emptying;
  const auto never = [] { return false; };
  gate_.wait([&] { return go_on(never); });
}

void Shutdown::wait_for_the_other(absl::AnyInvocable<bool()>& is_cut_short, Gate::By by) {
  const bool reports = core_.options().dispatch == Dispatch::caller;
  while (phase() != Phase::stopped) {
    const bool was_cut_off = is_cut_off();
    const auto is_to_look = [&] {
      if (is_cut_short() && !cut_short_.exchange(true, std::memory_order_acq_rel)) notify();
      if (is_late()) cut_off();
      if (reports) report_in_time();
      return phase() == Phase::stopped || is_cut_off() != was_cut_off;
    };
    const bool has_deadline = reports || !(was_cut_off || is_idle());
    (void)core_.caller_loop().wait(gate_, is_to_look, has_deadline ? deadline() : kNever, by);
  }
}

// Dispatch::caller: whether it is time to cut off. The thread in the loop looks between its turns
// only, and may be in a callback that blocks. So threads that wait for the end look as well.
bool Shutdown::is_late() const {
  if (core_.options().dispatch != Dispatch::caller) return false;
  const Phase now = phase();
  if (now != Phase::draining && now != Phase::refusing) return false;
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
      if (!core_.workers().has_ended()) return false;
      core_.workers().join();
      for (const auto& reactor : core_.reactors()) reactor->request_stop();
      stage_ = Stage::poll_threads;
      return true;
    case Stage::poll_threads:
      if (!is_done_or_cut(have_ended(), is_cut_short)) return false;
      if (!have_ended()) return false;
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
  std::int64_t never = kNever;
  next_report_.compare_exchange_strong(never, saturating_add(core_.kernel().now(), kReportInterval),
                                       std::memory_order_acq_rel);
  enter(Phase::aborting);
  tell(ShutdownStep::abort);
  core_.tasks().stop();
  core_.tasks().ask_one();  // for the first report
}

// Has the log say what it waits for, once a second after it has cut everything off.
void Shutdown::report_in_time() {
  if (phase() != Phase::aborting) return;
  std::int64_t due = next_report_.load(std::memory_order_acquire);
  const std::int64_t now = core_.kernel().now();
  if (now < due) return;
  if (!next_report_.compare_exchange_strong(due, saturating_add(now, kReportInterval),
                                            std::memory_order_acq_rel)) {
    return;
  }
  internal::tell([&] {
    const std::string what = waits_for();
    if (what.empty()) return;
    LOG(WARNING) << "epore: the shutdown has cut everything off, and still waits, for "
                 << absl::FormatDuration(
                        absl::Trunc(absl::Nanoseconds(now - began_), absl::Milliseconds(1)))
                 << " by now, for " << what;
  });
  core_.tasks().ask_one();  // for the next report
}

// What has not ended: how many of each kind, and one of them. With Dispatch::caller any thread may
// ask, otherwise the one that shuts down. Throws std::bad_alloc.
std::string Shutdown::waits_for() {
  std::string text;
  add(text, "tasks", core_.tasks().size(), in_one_line(core_.tasks().one()));
  add(text, "calls of blocking()", core_.blocking().size() + core_.lanes().size(), "");
  WorkerPool::Running running = core_.workers().running();
  for (const std::unique_ptr<Reactor>& reactor : core_.reactors()) {
    std::string what = reactor->watched().what();
    if (what.empty()) continue;
    ++running.count;
    if (running.what.empty()) running.what = std::move(what);
  }
  add(text, "callbacks", running.count, running.what);
  const std::uint64_t lingering = activities_.load(std::memory_order_seq_cst) / kLingering;
  add(text, "connections, listeners and the like", active() + lingering, one_connection());
  if (!text.empty()) return text;
  const bool has_loop = core_.options().dispatch == Dispatch::caller;
  if (has_loop) return "the thread in run_once() or run_until()";
  const auto& reactors = core_.reactors();
  const auto poll_threads = std::count_if(
      reactors.begin(), reactors.end(), [](const auto& reactor) { return !reactor->has_ended(); });
  add(text, "threads", static_cast<std::uint64_t>(core_.workers().alive() + poll_threads), "");
  return text;
}

std::string Shutdown::one_connection() {
  for (const std::unique_ptr<Reactor>& reactor : core_.reactors()) {
    std::uint32_t slot = 0;
    do {
      std::array<SlotTable::Live, SlotTable::kAtOnce> live;
      std::size_t size = 0;
      slot = reactor->slots().share_connections(slot, live, size);
      if (size > 0) return live[0].registration->describe();
    } while (slot != 0);
  }
  return "";
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
