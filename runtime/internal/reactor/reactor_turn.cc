// The turn of a Reactor after the wait: the order in which work runs, and which part of it is
// shared.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "epore/runtime/internal/base/fetch_ahead.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/posted_closure.h"
#include "epore/runtime/internal/reactor/reactor.h"
#include "epore/runtime/internal/reactor/runtime_timer.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {
namespace {

// Submitted work may submit more work. So many nanoseconds and runs of it come before the next
// poll(). A system call costs more than a short closure. The number of runs is for a clock that
// stands still.
constexpr std::int64_t kBetweenPolls = 50'000;
constexpr int kRunsBetweenPolls = 64;
constexpr int kRunsBetweenClocks = 8;  // reading the clock costs half as much as a closure

// The part of a connection that a message needs.
constexpr std::size_t kFetchedOfRegistration = 320;

}  // namespace

void Reactor::begin_turn() {
  wake_flag_.awake();
  if (dispatch_ == Dispatch::adaptive) core_.watchdog().poke();
  this_thread.now = core_.kernel().now();
  turn_began_ = this_thread.now;
  sharing_.begin(turn_began_);
  next_event_ = 0;
  end_event_ = events_.size();
  count_sweep();
  core_.counters().add(Counter::polls);
  if (receives_ != nullptr) [[unlikely]]
    core_.counters().add(Counter::read_pauses, receives_->take_dry());
  if (is_worth_sharing()) share_out();
}

// Counts sweeps. A batch that is not full contains everything that was ready, but for receives,
// which have batches of their own. With full batches the engine reports the ready descriptors one
// after the other. All of them have then been reported after as many events as there are
// descriptors. A round may begin in the middle, so two sweeps are needed.
void Reactor::count_sweep() {
  swept_ += std::max<std::size_t>(end_event_, 1);  // receives without a buffer bring no event
  const bool is_whole =
      end_event_ < events_.capacity() && (receives_ == nullptr || receives_->is_whole());
  if (is_whole) {
    sweeps_ += 2;
  } else if (swept_ > slots_.used()) {
    sweeps_ += 1;
  } else {
    return;
  }
  swept_ = 0;
}

bool Reactor::finish_turn() {
  if (!run_ready() || !run_due() || !run_submitted()) return false;
  if (!run_shared() || !shut_down_live()) return false;
  if (sharing_.end_turn()) estimate_cost();
  reclaim();
  return true;
}

bool Reactor::run_ready() {
  const bool hands_over = dispatch_ == Dispatch::workers;
  std::uint64_t count = 0;
  bool is_leading = true;
  sharing_.runs(Sharing::Source::ready);
  while (is_leading && next_event_ < end_event_) {
    const Event& event = events_[next_event_++];
    if (!hands_over) fetch_next();
    if (event.token.value >= kBellToken.value) continue;  // or kWakeToken
    ++count;
    Registration* registration = take_ready(event);
    if (registration == nullptr) [[unlikely]]
      continue;
    if (registration->is_member()) [[unlikely]] {
      is_leading = run_in_order(*registration);
    } else if (hands_over && !registration->is_pinned()) [[unlikely]] {
      if (registration->word().wake()) batch_.push(Ref<Runnable>::share(registration));
    } else if (registration->slowness().is_slow()) [[unlikely]] {
      core_.wake(*registration);
    } else {
      is_leading = run_now(*registration);
    }
  }
  core_.counters().add(Counter::events, count);
  if (is_leading && !batch_.empty()) core_.schedule(batch_, turn_began_);
  return is_leading;
}

// One of many connections is in no cache of the processor. While this event is served, the
// processor fetches the registration of the event after the next one, and what the next one names
// in its registration.
inline void Reactor::fetch_next() const {
  if (next_event_ == end_event_) return;
  if (next_event_ + 1 < end_event_) {
    const Registration* const second = slots_.find(events_[next_event_ + 1].token);
    if (second != nullptr) fetch_ahead<0, kFetchedOfRegistration>(second);
  }
  const Registration* const first = slots_.find(events_[next_event_].token);
  if (first != nullptr) first->fetch_parts();
}

// Returns the registration that an event is for. Returns null if nothing is to run.
inline Registration* Reactor::take_ready(const Event& event) {
  Registration* registration = slots_.find(event.token);
  if (registration == nullptr) [[unlikely]] {
    core_.counters().add(Counter::stale_events);
    return nullptr;
  }
  return registration->ready(event.readiness) ? registration : nullptr;
}

// Runs a member of an order in this call if the order is idle. Otherwise it goes to its order. The
// slot holds the member until reclaim(), and the member holds the order.
bool Reactor::run_in_order(Registration& member) {
  Runnable* const order = dispatch_ == Dispatch::workers ? nullptr : member.claim_order();
  if (order == nullptr) {
    core_.wake(member);
    return true;
  }
  sample_delay();
  exposed_member_ = &member;
  const bool is_leading = run_claimed(*order);
  if (!is_leading) [[unlikely]] {
    member.drop_ref();  // take_over() added it
    return false;
  }
  exposed_member_ = nullptr;
  sharing_.has_also_run(std::max(this_thread.member_runs - 1, 0));
  return true;
}

inline bool Reactor::run_now(Registration& registration) {
  switch (registration.word().claim()) {
    case DispatchWord::Claim::run:
      sample_delay();
      return run_claimed(registration);  // the slot holds a reference until reclaim()
    case DispatchWord::Claim::queue:
      core_.schedule(Ref<Runnable>::share(&registration));
      return true;
    case DispatchWord::Claim::none:
      return true;
  }
  return true;
}

// Called where an event's callback is about to begin on this thread.
inline void Reactor::sample_delay() {
  if (--events_to_sample_ == 0) [[unlikely]]
    note_delay();
}

void Reactor::note_delay() {
  events_to_sample_ = kDelaySample;
  core_.counters().add_delay(core_.kernel().now() - turn_began_);
}

bool Reactor::run_due() {
  const std::int64_t now = this_thread.now;
  // Callbacks may arm timers that are due at once. These wait for the next turn.
  std::size_t left = 0;
  for (timers_.collect(now); timers_.collected() > 0; timers_.collect(now)) {
    if (left == 0) left = timers_.collected() + timers_.size();
    if (!run_submitted()) return false;
    const std::size_t count = timers_.collected();
    while (TimerNode* const node = timers_.pop()) {
      if (!run_expired(*node, timers_.collected() + 1)) return false;
    }
    if (count < TimerQueue::kAtOnce || count >= left) return true;
    // Threads that arm timers faster than this runs them make each turn longer than the one before.
    // The end of the turn looks at the shutdown.
    if (is_shutdown_asked()) return true;
    left -= count;
  }
  return true;
}

// Exposes the lead and returns the ticket; this thread then does not lead until resume(). Returns
// kNoTicket where the lead is never exposed.
inline Lead::Ticket Reactor::expose(Runnable& runnable) {
  if (dispatch_ != Dispatch::adaptive) [[unlikely]]
    return kNoTicket;
  exposed_ = &runnable;
  this_thread.leads = nullptr;
  return lead_.expose();
}

// Takes the lead again. Returns false if this thread was relieved.
inline bool Reactor::resume(Lead::Ticket ticket) {
  if (ticket == kNoTicket) [[unlikely]]
    return true;
  if (!lead_.take(ticket)) [[unlikely]]
    return false;
  this_thread.leads = this;
  return true;
}

// Handles one of `count` due timers. A timer of no connection runs at once, unless its last run has
// not ended or may_run() says no. Any other timer is woken.
bool Reactor::run_expired(TimerNode& node, std::size_t count) {
  RuntimeTimer* const found = RuntimeTimer::from(node);
  if (found == nullptr || !may_run(*found, count) || !found->word().claim_led()) {
    node.expired();
    return true;
  }
  const Ref<RuntimeTimer> timer = Ref<RuntimeTimer>::adopt(found);  // the queue's
  const Lead::Ticket ticket = expose(*timer);
  core_.run(*timer);
  if (resume(ticket)) [[likely]] {
    timer->word().end_led();
    return after_run();
  }
  core_.end(*timer);
  was_relieved(*timer, ticket);
  return false;
}

// False if other work comes first, if workers run the timer, or if the timers are to be shared.
bool Reactor::may_run(RuntimeTimer& timer, std::size_t count) const {
  return local_.empty() && dispatch_ != Dispatch::workers && !core_.slowness_of(timer).is_slow() &&
         !sharing_.is_worth(Sharing::Source::submitted, count, this_thread.now);
}

inline bool Reactor::run_claimed(Runnable& runnable) {
  if (runnable.is_pinned()) [[unlikely]] {
    core_.execute_claimed(runnable);
    return true;
  }
  const Lead::Ticket ticket = expose(runnable);
  core_.execute_claimed(runnable);
  if (resume(ticket)) [[likely]]
    return after_run();
  was_relieved(runnable, ticket);
  return false;
}

void Reactor::was_relieved(Runnable& runnable, Lead::Ticket ticket) {
  await_kept(ticket);
  core_.slowness_of(runnable).was_stuck();
  this_thread.watched->over(name_of(ticket), core_.kernel().now());
  runnable.drop_ref();  // take_over() added it
}

// Waits until take_over() has added its reference. The run may end between the two steps of
// take_over(). Dropping the reference earlier would drop the reference of the slot or of the
// caller.
void Reactor::await_kept(Lead::Ticket ticket) {
  for (;;) {
    const std::uint32_t seen = keeps_.load(std::memory_order_acquire);
    if (kept_.load(std::memory_order_acquire) >= ticket) return;
    (void)core_.kernel().park(keeps_, seen, -1);
  }
}

bool Reactor::after_run() {
  if (!sharing_.has_run()) [[likely]]
    return true;
  estimate_cost();
  if (is_worth_sharing()) share_out();
  return true;
}

// Moves submitted work to the leader's queues. Returns whether there is any.
bool Reactor::take_submitted() {
  inbox_.take(local_);
  closures_.append(posted_.take());
  return has_submitted();
}

bool Reactor::run_submitted() {
  sharing_.runs(Sharing::Source::submitted);
  if (!take_submitted()) return true;
  if (is_worth_sharing()) share_out();
  // Work that these runs submit comes in rounds behind them, and after some time behind a poll().
  const std::int64_t end = this_thread.now + kBetweenPolls;
  for (int runs = 0, clock_at = kRunsBetweenClocks;;) {
    for (std::size_t left = closures_.size(); left > 0 && !closures_.empty(); --left, ++runs) {
      closure_run_->load(closures_.pop());
      if (!run_claimed(*closure_run_)) return false;
    }
    for (std::size_t left = local_.size(); left > 0 && !local_.empty(); --left, ++runs) {
      const Ref<Runnable> runnable = local_.pop();
      runnable->begin();
      if (!run_claimed(*runnable)) return false;
      if (runnable->kind() == Runnable::Kind::order) {
        sharing_.has_also_run(std::max(this_thread.member_runs - 1, 0));
        clock_at = 0;  // one order takes as long as many runs
      }
    }
    if (!take_submitted() || runs >= kRunsBetweenPolls) return true;
    if (runs < clock_at) continue;
    if (core_.kernel().now() >= end) return true;
    clock_at = runs + kRunsBetweenClocks;
  }
}

bool Reactor::run_shared() {
  if (has_shared_) sharing_.takes_back();
  while (has_shared_) {
    const Ref<Runnable> runnable = core_.workers().take_back();
    if (!runnable) {
      has_shared_ = false;
      (void)is_sharing_useful();
      break;
    }
    runnable->begin();
    if (!run_claimed(*runnable)) return false;
  }
  return true;
}

bool Reactor::is_worth_sharing() const {
  const std::size_t submitted = local_.size() + closures_.size();
  return sharing_.is_worth(Sharing::Source::ready, end_event_ - next_event_, this_thread.now) ||
         sharing_.is_worth(Sharing::Source::submitted, submitted, this_thread.now);
}

void Reactor::estimate_cost() {
  this_thread.now = core_.kernel().now();
  sharing_.estimate(this_thread.now);
}

bool Reactor::is_sharing_useful() {
  return sharing_.helped(core_.workers().take_shared_time(), this_thread.now);
}

// Keeps this thread's part of the rest of the turn, and shares the other parts with workers.
void Reactor::share_out() {
  if (has_shared_ && !is_sharing_useful()) return core_.workers().take_all_back(local_);
  const auto part_of = [this](Sharing::Source source, std::size_t runs) {
    return sharing_.part_of(source, runs, this_thread.now);
  };
  const std::size_t ready = part_of(Sharing::Source::ready, end_event_ - next_event_);
  for (std::size_t left = ready; left > 0; --left) {
    const Event event = events_[--end_event_];
    if (event.token.value >= kBellToken.value) continue;  // or kWakeToken
    core_.counters().add(Counter::events);
    Registration* registration = take_ready(event);
    if (registration == nullptr) continue;
    if (registration->is_pinned() || registration->is_member() ||
        registration->slowness().is_slow()) {
      core_.wake(*registration);
    } else if (registration->word().wake()) {
      batch_.push(Ref<Runnable>::share(registration));
    }
  }
  const std::size_t submitted = part_of(Sharing::Source::submitted, local_.size());
  for (std::size_t left = submitted; left > 0; --left) {
    Ref<Runnable> runnable = local_.pop();
    (runnable->is_pinned() ? local_ : batch_).push(std::move(runnable));
  }
  const std::size_t posted = part_of(Sharing::Source::submitted, closures_.size());
  for (std::size_t left = posted; left > 0; --left) {
    batch_.push(
        Ref<Runnable>::adopt(new QueuedClosure(*this, std::move(closures_.pop()->closure))));
  }
  if (batch_.empty()) return;
  core_.counters().add(Counter::shared, batch_.size());
  sharing_.shared(ready > 0 ? Sharing::Source::ready : Sharing::Source::submitted);
  if (core_.workers().share(batch_)) {
    has_shared_ = true;
  } else {
    local_.append(batch_);
  }
}

// Passes a shutdown on to the live registrations. The request stays set until the listeners are
// closed. If this thread gets stuck in a callback before that, a relief starts again. A
// registration may therefore be told twice.
bool Reactor::shut_down_live() {
  if (!is_shutdown_asked()) return true;
  const bool drain = drain_requested_.load(std::memory_order_acquire);
  const bool abort = abort_requested_.load(std::memory_order_acquire);
  const ShutdownStep step = abort ? ShutdownStep::abort : ShutdownStep::drain;
  // All listeners close before any connection is told. Otherwise a client could lose its connection
  // and connect again.
  slots_.for_each_live([step](Registration& registration) {
    if (registration.is_pinned()) registration.shut_down(step);
  });
  if (!run_submitted()) return false;
  if (drain) drain_requested_.exchange(false, std::memory_order_acq_rel);
  if (abort) abort_requested_.exchange(false, std::memory_order_acq_rel);
  slots_.for_each_live([step](Registration& registration) {
    if (!registration.is_pinned()) registration.shut_down(step);
  });
  return true;
}

void Reactor::reclaim() {
  retired_.take([this](Registration& registration) { slots_.reclaim(registration); });
}

}  // namespace epore::internal
