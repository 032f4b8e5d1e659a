#include "runtime/internal/reactor.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "poll/sys/errno_status.h"
#include "poll/sys/kernel.h"
#include "runtime/internal/core.h"
#include "runtime/internal/thread_context.h"

namespace epore::internal {
namespace {

constexpr Token kWakeToken{~std::uint64_t{0}};

// Retired registrations hold memory until a turn ends; an idle poll thread is woken for so many.
constexpr std::uint32_t kRetiredBeforeWake = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<Reactor>> Reactor::create(Core& core, int index) {
  PollOptions options;
  options.selector = core.options().selector;
  options.kernel = &core.kernel();
  absl::StatusOr<Poll> poll = Poll::create(options);
  if (!poll.ok()) return poll.status();
  absl::StatusOr<Waker> waker = Waker::create(poll->registry(), kWakeToken);
  if (!waker.ok()) return waker.status();
  return absl::WrapUnique(new Reactor(core, index, *std::move(poll), *std::move(waker)));
}

Reactor::Reactor(Core& core, int index, Poll poll, Waker waker)
    : core_(core),
      index_(index),
      registry_(poll.registry()),
      has_edges_(registry_->has_edges()),
      runs_callbacks_(core.options().dispatch == Dispatch::poll_thread),
      waker_(std::move(waker)),
      poll_(std::move(poll)),
      events_(core.options().events_per_poll),
      timers_(core.kernel().now()) {}

Reactor::~Reactor() = default;

absl::Status Reactor::start() {
  const SysResult started = core_.kernel().start_thread(
      absl::StrCat("epore-poll", index_).c_str(), [this] { loop(); }, &thread_);
  if (!started.ok()) {
    return errno_status(started.error(), absl::StrCat("starting poll thread ", index_));
  }
  is_started_ = true;
  return absl::OkStatus();
}

void Reactor::request_stop() {
  stop_requested_.store(true, std::memory_order_release);
  notify();
}

void Reactor::join() {
  if (std::exchange(is_started_, false)) (void)core_.kernel().join_thread(thread_);
}

bool Reactor::submit(Ref<Runnable>&& runnable) {
  if (this_thread.reactor == this) {
    local_.push(std::move(runnable));
    return true;
  }
  if (!inbox_.push(std::move(runnable))) return false;
  notify();
  return true;
}

void Reactor::notify() {
  if (this_thread.reactor == this || !wake_flag_.claim()) return;
  core_.counters().add(Counter::wakes);
  if (!waker_.wake().ok()) wake_flag_.failed();
}

TimerQueue::Armed Reactor::arm(TimerNode& node, std::int64_t deadline, std::int64_t interval) {
  const TimerQueue::Armed armed = timers_.arm(node, deadline, interval);
  if (armed.is_earliest) notify();
  return armed;
}

void Reactor::retire(Registration& registration) {
  slots_.retire(registration);
  if (retired_.push(registration) == kRetiredBeforeWake) notify();
}

void Reactor::request_shutdown(ShutdownStep step) {
  (step == ShutdownStep::drain ? drain_requested_ : abort_requested_)
      .store(true, std::memory_order_release);
  notify();
}

void Reactor::clear() { reclaim(); }

void Reactor::loop() {
  const auto buffers = std::make_unique<IoBuffers>();
  this_thread.core = &core_;
  this_thread.reactor = this;
  this_thread.buffers = buffers.get();
  for (;;) {
    const absl::Duration sleep = time_to_sleep();
    const bool is_stopping = stop_requested_.load(std::memory_order_acquire);
    if (is_stopping && local_.empty() && inbox_.close()) break;
    CHECK_OK(poll_.poll(events_, is_stopping ? absl::ZeroDuration() : sleep));
    wake_flag_.awake();
    this_thread.now = core_.kernel().now();
    core_.counters().add(Counter::polls);
    wake_ready();
    timers_.expire(this_thread.now);
    run_submitted();
    shut_down_live();
    reclaim();
  }
  this_thread = ThreadContext();
}

absl::Duration Reactor::time_to_sleep() {
  // Cleared before the queues are looked at: see WakeFlag.
  wake_flag_.allow();
  const bool has_work = !local_.empty() || !inbox_.empty() ||
                        drain_requested_.load(std::memory_order_acquire) ||
                        abort_requested_.load(std::memory_order_acquire);
  if (has_work) return absl::ZeroDuration();
  const std::int64_t earliest = timers_.earliest();
  if (earliest == kNever) return absl::InfiniteDuration();
  return absl::Nanoseconds(std::max<std::int64_t>(earliest - core_.kernel().now(), 0));
}

void Reactor::wake_ready() {
  if (events_.empty()) return;
  std::uint64_t count = 0;
  for (const Event& event : events_) {
    if (event.token == kWakeToken) continue;
    ++count;
    Registration* registration = slots_.find(event.token);
    if (registration == nullptr) {
      core_.counters().add(Counter::stale_events);
      continue;
    }
    if (!registration->ready(event.readiness)) continue;
    if (runs_callbacks_ || registration->is_pinned()) {
      run_now(*registration);  // its slot keeps it until this thread reclaims it
    } else if (registration->word().wake()) {
      batch_.push(Ref<Runnable>::share(registration));
    }
  }
  core_.counters().add(Counter::events, count);
  if (!batch_.empty()) core_.schedule(batch_);
}

void Reactor::run_now(Runnable& runnable) {
  switch (runnable.word().claim()) {
    case DispatchWord::Claim::run:
      core_.execute_claimed(runnable);
      break;
    case DispatchWord::Claim::queue:
      core_.schedule(Ref<Runnable>::share(&runnable));
      break;
    case DispatchWord::Claim::none:
      break;
  }
}

void Reactor::run_submitted() {
  inbox_.take(local_);
  // What is submitted meanwhile waits for the next turn, after the next poll.
  for (std::size_t left = local_.size(); left > 0; --left) core_.execute(local_.pop());
}

void Reactor::shut_down_live() {
  const bool drain = drain_requested_.exchange(false, std::memory_order_acq_rel);
  const bool abort = abort_requested_.exchange(false, std::memory_order_acq_rel);
  if (!drain && !abort) return;
  const ShutdownStep step = abort ? ShutdownStep::abort : ShutdownStep::drain;
  const std::vector<Ref<Registration>> live = slots_.live();
  // Listeners first, and closed before any connection hears of it: a client whose connection has
  // ended cannot connect anew.
  for (const Ref<Registration>& registration : live) {
    if (registration->is_pinned()) registration->shut_down(step);
  }
  run_submitted();
  for (const Ref<Registration>& registration : live) {
    if (!registration->is_pinned()) registration->shut_down(step);
  }
}

void Reactor::reclaim() {
  retired_.take([this](Registration& registration) { slots_.reclaim(registration); });
}

Registration::Registration(Reactor& home, Place place) : Runnable(home, place) {}

void Registration::retire() { home().retire(*this); }

}  // namespace epore::internal
