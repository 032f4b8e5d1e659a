#include "epore/runtime/internal/reactor/watchdog.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/dispatch/lead.h"
#include "epore/runtime/internal/dispatch/watched_thread.h"
#include "epore/runtime/internal/reactor/core.h"

namespace epore::internal {
namespace {

// In nanoseconds. A leader is a suspect after one to two ticks, and is stuck one alert tick later.
// A tick costs a timer interrupt and two switches of threads: 5 to 20 us on a virtual machine.
constexpr std::int64_t kCalmTick = 8'000'000;
constexpr std::int64_t kAlertTick = 1'000'000;
constexpr std::int64_t kAlert = 1'000'000'000;

// The tick while poll threads sleep now and then. An idle processor stops its own tick, unless a
// timer is due within one period (4 ms with CONFIG_HZ=250, Documentation/timers/no_hz.rst).
// Stopping and starting are exits to the host of a virtual machine. With a timer every 3 ms the
// processor keeps its tick, and a lone message costs a quarter less. Where no thread sleeps, this
// gains nothing.
constexpr std::int64_t kNapTick = 3'000'000;

// The watchdog sleeps after so many ticks in which nothing ran.
constexpr int kIdleTicks = 4;

}  // namespace

std::int64_t warn_after(const RuntimeOptions& options) {
  const absl::Duration after = options.blocked_callback_warning;
  return after == absl::ZeroDuration() ? kNever : absl::ToInt64Nanoseconds(after);
}

absl::Status Watchdog::start() {
  seen_.resize(core_.reactors().size());
  others_.reserve(core_.reactors().size() + core_.workers().most());  // no allocation in a tick
  const SysResult started = core_.start_thread(
      "watchdog", [this] { loop(); }, &thread_);
  if (!started.ok()) return errno_status(started.error(), "starting the watchdog thread");
  is_started_ = true;
  return absl::OkStatus();
}

void Watchdog::stop() {
  if (!std::exchange(is_started_, false)) return;
  word_.store(kStopped, std::memory_order_seq_cst);
  (void)core_.kernel().unpark(word_, 1);
  (void)core_.kernel().join_thread(thread_);
}

void Watchdog::wake() {
  std::uint32_t expected = kAsleep;
  if (!word_.compare_exchange_strong(expected, kAwake, std::memory_order_seq_cst)) return;
  (void)core_.kernel().unpark(word_, 1);
}

void Watchdog::loop() {
  Kernel& kernel = core_.kernel();
  int idle_ticks = 0;
  last_tick_ = kernel.now();
  while (word_.load(std::memory_order_acquire) != kStopped) {
    if (idle_ticks >= kIdleTicks) {
      sleep();
      idle_ticks = 0;
      last_tick_ = kernel.now();
      continue;
    }
    const std::int64_t now = kernel.now();
    const std::int64_t next = last_tick_ + interval(now);
    if (now < next) {
      (void)kernel.park(word_, kAwake, next - now);
      continue;
    }
    idle_ticks = tick(now) ? 0 : idle_ticks + 1;
    last_tick_ = now;
  }
}

void Watchdog::sleep() {
  std::uint32_t expected = kAwake;
  if (!word_.compare_exchange_strong(expected, kAsleep, std::memory_order_seq_cst)) return;
  if (!is_all_asleep()) {
    expected = kAsleep;
    word_.compare_exchange_strong(expected, kAwake, std::memory_order_seq_cst);
    return;
  }
  while (word_.load(std::memory_order_acquire) == kAsleep) {
    (void)core_.kernel().park(word_, kAsleep, -1);
  }
}

bool Watchdog::tick(std::int64_t now) {
  bool has_run = false;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    has_run |= look_at(*core_.reactors()[i], seen_[i], now);
  }
  const bool is_pool_busy = core_.workers().watch(now);
  const auto sleeps = [](const auto& reactor) { return reactor->is_asleep(); };
  naps_ = has_run && std::any_of(core_.reactors().begin(), core_.reactors().end(), sleeps);
  return has_run || is_pool_busy;
}

bool Watchdog::look_at(Reactor& reactor, Seen& seen, std::int64_t now) {
  const std::uint64_t lead = reactor.lead_value();
  const bool is_exposed = Lead::is_exposed(lead);
  const bool is_moving = lead != seen.lead;
  if (is_moving) {
    seen = Seen{.lead = lead, .since = now, .patience = seen.patience};
  } else if (is_exposed) {
    // A suspect. The next tick comes soon. The leader is stuck then, unless it waited for a
    // processor.
    alert_until_ = now + kAlert;
    Kernel& kernel = core_.kernel();
    const int thread = reactor.leader()->id();
    const std::int64_t half = (now - last_tick_) / 2;
    // The run delay grows when the wait is over. While it lasts the thread is ready to run, but has
    // no processor.
    std::int64_t delay = 0;
    std::int64_t cpu = 0;
    ThreadState state;
    const bool is_known = kernel.run_delay(thread, &delay).ok();
    const bool is_waiting = kernel.thread_cpu(thread, &cpu).ok() &&
                            kernel.thread_state(thread, &state).ok() &&
                            state == ThreadState::runs && cpu - seen.cpu < half;
    const bool has_waited = is_known && (is_waiting || delay - seen.run_delay > half);
    const bool may_be_stuck = !is_known || (seen.is_suspect && !has_waited);
    Patience& patience = seen.patience;
    const bool is_relief = patience.is_judging(now);
    const bool is_locked = (may_be_stuck || is_relief) && waits_for_lock(thread);
    if (is_locked && is_relief) patience.waits_for_lock();
    const std::int64_t longest = is_locked ? Patience::kLongest : patience.time();
    const bool is_stuck = may_be_stuck && now - seen.since >= longest;
    if (is_stuck && !reactor.call_home()) {
      core_.workers().relieve(reactor, lead);
      patience.relieved(now);
    }
    seen = Seen{lead, true, delay, cpu, seen.since, patience};
  }
  return report(reactor.watched(), now) || is_exposed || is_moving;
}

bool Watchdog::waits_for_lock(int thread) {
  ThreadState state;
  if (!core_.kernel().thread_state(thread, &state).ok() || state != ThreadState::parked) {
    return false;
  }
  others_.clear();
  for (const auto& reactor : core_.reactors()) others_.push_back(reactor->watched().id());
  core_.workers().add_threads(others_);
  return std::any_of(others_.begin(), others_.end(), [&](int other) {
    return other != thread && core_.kernel().thread_state(other, &state).ok() &&
           state == ThreadState::runs;
  });
}

bool Watchdog::report(WatchedThread& thread, std::int64_t now) {
  if (!thread.is_stuck()) return false;
  std::int64_t run_delay = 0;
  (void)core_.kernel().run_delay(thread.id(), &run_delay);
  if (thread.is_blocked(now, run_delay) && !waits_for_lock(thread.id())) thread.report(now);
  return thread.is_stuck();
}

std::int64_t Watchdog::interval(std::int64_t now) const {
  if (now < alert_until_) return kAlertTick;
  return naps_ ? kNapTick : kCalmTick;
}

bool Watchdog::is_all_asleep() {
  return std::all_of(core_.reactors().begin(), core_.reactors().end(),
                     [](const auto& reactor) { return reactor->is_asleep(); }) &&
         core_.workers().is_idle();
}

}  // namespace epore::internal
