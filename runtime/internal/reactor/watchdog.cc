#include "epore/runtime/internal/reactor/watchdog.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/kernel.h"
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

absl::Status Watchdog::start() {
  seen_.resize(core_.reactors().size());
  const SysResult started = core_.kernel().start_thread(
      "epore-watchdog", [this] { loop(); }, &thread_);
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
    seen = Seen{lead, false, 0};
  } else if (is_exposed) {
    // A suspect. The next tick comes soon. The leader is stuck then, unless it waited for a
    // processor.
    alert_until_ = now + kAlert;
    std::int64_t delay = 0;
    const bool is_known = core_.kernel().run_delay(reactor.leader()->id(), &delay).ok();
    const bool has_waited = is_known && delay - seen.run_delay > (now - last_tick_) / 2;
    const bool is_stuck = !is_known || (seen.is_suspect && !has_waited);
    if (is_stuck && !reactor.call_home()) core_.workers().relieve(reactor, lead);
    seen = Seen{lead, true, delay};
  }
  return reactor.watched().report(now) || is_exposed || is_moving;
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
