#include "epore/runtime/internal/reactor/reactor.h"

#include <algorithm>
#include <climits>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/posted_closure.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/reactor/watchdog.h"

namespace epore::internal {
namespace {

// Retired registrations hold memory until a turn ends. So many of them wake an idle poll thread.
constexpr std::uint32_t kRetiredBeforeWake = 64;

// The nanoseconds between two waits for events that the system refuses.
constexpr std::int64_t kRefusedWait = 10'000'000;

}  // namespace

absl::StatusOr<std::unique_ptr<Reactor>> Reactor::create(Core& core, int index,
                                                         const std::string& selector) {
  PollOptions options;
  options.selector = selector;
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
      dispatch_(core.options().dispatch),
      waker_(std::move(waker)),
      watched_(core.thread_name(absl::StrCat("poll", index)), warn_after(core.options())),
      poll_(std::move(poll)),
      events_(core.options().events_per_poll),
      sharing_(core.helpers()),
      closure_run_(make_closure_run()) {}

Reactor::~Reactor() {
  DCHECK(posted_.empty());  // the loop closes it; nobody posts to a reactor that did not start
}

Ref<ClosureRun> Reactor::make_closure_run() {
  return Ref<ClosureRun>::adopt(new ClosureRun(*this));
}

// Bytes that are in a buffer of a ring belong to its thread, so no other may run a connection of
// it.
absl::Status Reactor::begin_receives() {
  CompletionQueue* const completions = poll_.completions();
  if (completions == nullptr || dispatch_ != Dispatch::poll_thread) return absl::OkStatus();
  absl::Status started = completions->start();
  if (started.ok()) receives_ = completions;
  return started;
}

absl::Status Reactor::start() {
  buffers_ = std::make_unique_for_overwrite<IoBuffers>();
  if (dispatch_ == Dispatch::caller) {
    is_started_ = true;
    return absl::OkStatus();
  }
  const SysResult started = core_.start_thread(
      absl::StrCat("poll", index_), [this] { loop(); }, &thread_);
  if (!started.ok()) {
    return errno_status(started.error(), absl::StrCat("starting poll thread ", index_));
  }
  is_started_ = has_thread_ = true;
  return absl::OkStatus();
}

void Reactor::request_stop() {
  stop_requested_.store(true, std::memory_order_release);
  notify();
}

bool Reactor::has_ended() const {
  return !is_started_ || has_ended_.load(std::memory_order_acquire);
}

void Reactor::join() {
  is_started_ = false;
  if (std::exchange(has_thread_, false)) (void)core_.kernel().join_thread(thread_);
}

void Reactor::enter() { begin_thread(); }

bool Reactor::turn(std::int64_t deadline) {
  turn_deadline_ = deadline;
  if (wait(/*is_home=*/true, time_to_sleep(/*is_home=*/true))) return finish_turn();
  // Late work now finds queues that are closed, as it does when a poll thread has ended.
  this_thread.reactor = this_thread.leads = nullptr;
  this_thread.buffers = nullptr;
  buffers_ = nullptr;
  has_ended_.store(true, std::memory_order_release);
  return false;
}

void Reactor::leave() {
  this_thread = ThreadContext();
  const bool is_exposed = is_fd_exposed_.load(std::memory_order_acquire);
  if (has_ended()) {
    if (is_exposed) (void)waker_.wake();  // the host may wait while another thread has ended it
    return;
  }
  if (is_exposed) wake_flag_.allow();
  // With a stop request the next turn is the last one, or runs what is queued.
  const bool has_left = has_work() || stop_requested_.load(std::memory_order_acquire);
  has_left_work_.store(has_left, std::memory_order_release);
  if (has_left || (is_exposed && timers_.earliest() <= core_.kernel().now())) notify();
}

void Reactor::call() {
  is_called_.exchange(true, std::memory_order_seq_cst);
  notify();
}

bool Reactor::watch_bell(int bell) {
  return registry_->register_fd(bell, kBellToken, Interest::readable()).ok();
}

void Reactor::ignore_bell(int bell) { (void)registry_->deregister_fd(bell); }

absl::StatusOr<int> Reactor::expose_fd() {
  const int fd = poll_.descriptor();
  if (fd < 0) {
    return absl::UnimplementedError(
        "poll_fd: this engine has no descriptor; call run_once() with poll_timeout()");
  }
  // What has been asked before now may have woken nobody: nobody has waited for the descriptor.
  if (!is_fd_exposed_.exchange(true, std::memory_order_acq_rel)) (void)waker_.wake();
  return fd;
}

std::int64_t Reactor::next_deadline() const {
  const bool is_due = has_left_work_.load(std::memory_order_acquire) || !inbox_.empty() ||
                      !posted_.empty() || is_shutdown_asked() ||
                      is_called_.load(std::memory_order_seq_cst);
  return is_due ? 0 : timers_.earliest();
}

bool Reactor::submit(Ref<Runnable>&& runnable) {
  if (this_thread.leads == this) {
    local_.push(std::move(runnable));
    return true;
  }
  if (!inbox_.push(std::move(runnable))) return false;
  if (!wake_flag_.is_awake()) notify();
  return true;
}

bool Reactor::post(std::unique_ptr<PostedClosure> closure) {
  if (this_thread.leads == this) {
    closures_.push(std::move(closure));
    return true;
  }
  if (!posted_.push(closure.get())) return false;
  (void)closure.release();
  if (!wake_flag_.is_awake()) notify();
  return true;
}

void Reactor::notify() {
  if (this_thread.leads == this || !wake_flag_.set()) return;
  core_.counters().add(Counter::wakes);
  if (!waker_.wake().ok()) wake_flag_.failed();
}

TimerQueue::Armed Reactor::arm(TimerNode& node, std::int64_t deadline) {
  const TimerQueue::Armed armed = timers_.arm(node, deadline);
  if (armed.is_earliest) notify();
  return armed;
}

TimerQueue::Armed Reactor::arm_in_room(TimerNode& node, std::int64_t deadline) {
  const TimerQueue::Armed armed = timers_.arm_in_room(node, deadline);
  if (armed.is_earliest) notify();
  return armed;
}

TimerQueue::Armed Reactor::arm(PeriodicNode& node, std::int64_t deadline, std::int64_t interval) {
  const TimerQueue::Armed armed = timers_.arm(node, deadline, interval);
  if (armed.is_earliest) notify();
  return armed;
}

void Reactor::retire(Registration& registration) {
  slots_.retire(registration);
  if (retired_.push(registration) % kRetiredBeforeWake == 0) notify();
}

void Reactor::request_shutdown(ShutdownStep step) {
  (step == ShutdownStep::drain ? drain_requested_ : abort_requested_)
      .store(true, std::memory_order_release);
  notify();
}

void Reactor::clear() {
  reclaim();
  poll_.release();  // workers may have closed connections behind its last poll()
}

void Reactor::begin_thread() {
  this_thread.core = &core_;
  this_thread.reactor = this;
  this_thread.leads = this;
  this_thread.buffers = buffers_.get();
  this_thread.watched = &watched_;
  this_thread.now = core_.kernel().now();
  sharing_.begin(this_thread.now);
}

void Reactor::loop() {
  begin_thread();
  watched_.set_id(core_.kernel().thread_id());
  // By default, each event would let the poll thread preempt a worker, and it would find only that
  // one event. As a batch thread it runs when the workers are done, and finds many events. An echo
  // on one processor then costs a third less. If the system refuses, the reactor works as well.
  if (dispatch_ == Dispatch::workers) (void)core_.kernel().set_batch_scheduling();
  while (lead(/*is_home=*/true) != Left::ended) take_back();
  this_thread = ThreadContext();
  buffers_ = nullptr;
  has_ended_.store(true, std::memory_order_release);
  core_.shutdown().gate().notify();
}

void Reactor::relieve(Lead::Ticket ticket) {
  if (!take_over(ticket)) return;
  core_.counters().add(Counter::reliefs);
  (void)lead(/*is_home=*/false);
  this_thread.reactor = nullptr;
}

bool Reactor::take_over(Lead::Ticket ticket) {
  if (!lead_.take(ticket)) return false;
  WatchedThread* const before = leader_.exchange(this_thread.watched, std::memory_order_relaxed);
  this_thread.reactor = this_thread.leads = this;
  this_thread.now = core_.kernel().now();
  sharing_.begin(this_thread.now);  // the window of the other thread says nothing of this one
  if (Runnable* stuck = std::exchange(exposed_, nullptr); stuck != nullptr) {
    // From now on a leader may reclaim the slot while the stuck thread is still in the run. That
    // thread drops this reference.
    stuck->add_ref();
    if (Runnable* const member = std::exchange(exposed_member_, nullptr); member != nullptr) {
      member->add_ref();
    }
    if (stuck == closure_run_.get()) closure_run_ = make_closure_run();
    std::int64_t run_delay = 0;
    (void)core_.kernel().run_delay(before->id(), &run_delay);
    before->stuck(name_of(ticket), stuck->describe(), this_thread.now, run_delay);
    kept_.store(ticket, std::memory_order_release);
    keeps_.fetch_add(1, std::memory_order_release);
    (void)core_.kernel().unpark(keeps_, INT_MAX);
  }
  return true;
}

void Reactor::take_back() {
  for (;;) {
    home_waits_.store(1, std::memory_order_seq_cst);
    const std::uint64_t lead = lead_.value();
    if (Lead::is_exposed(lead) && take_over(lead)) break;
    notify();
    while (home_waits_.load(std::memory_order_acquire) == 1) {
      (void)core_.kernel().park(home_waits_, 1, -1);
    }
  }
  home_waits_.store(0, std::memory_order_relaxed);
}

bool Reactor::call_home() {
  if (home_waits_.exchange(0, std::memory_order_acq_rel) == 0) return false;
  (void)core_.kernel().unpark(home_waits_, 1);
  return true;
}

void Reactor::give_back() {
  exposed_ = nullptr;
  this_thread.leads = nullptr;
  (void)lead_.expose();  // this thread will not take it again
  home_waits_.store(0, std::memory_order_release);
  (void)core_.kernel().unpark(home_waits_, 1);
}

Reactor::Left Reactor::lead(bool is_home) {
  for (;;) {
    if (!finish_turn()) return Left::relieved;
    const absl::Duration sleep = time_to_sleep(is_home);
    if (!is_home && home_waits_.load(std::memory_order_acquire) == 1) {
      wake_flag_.awake();  // the poll thread looks at the queues before it sleeps
      give_back();
      return Left::gave_back;
    }
    if (!wait(is_home, sleep)) return Left::ended;
  }
}

// Waits, and begins a turn. Returns false instead if the loop must end and nothing is queued.
bool Reactor::wait(bool is_home, absl::Duration sleep) {
  const bool is_stopping = is_home && stop_requested_.load(std::memory_order_acquire);
  if (is_stopping && !has_submitted() && posted_.close() && inbox_.close()) return false;
  absl::Status polled = poll_.poll(events_, is_stopping ? absl::ZeroDuration() : sleep);
  if (!polled.ok()) [[unlikely]]
    poll_failed(polled);
  begin_turn();
  return true;
}

// Waits for events. The queue has no errors of its own while its descriptors are open. The system
// may refuse a wait (no memory, a seccomp filter). Timers and submitted work then go on.
void Reactor::poll_failed(const absl::Status& why) {
  tell([&] { LOG_EVERY_N_SEC(ERROR, 1) << "epore: " << why.message(); });
  events_.clear();
  std::atomic<std::uint32_t> nobody{0};
  (void)core_.kernel().park(nobody, 0, kRefusedWait);
}

bool Reactor::has_work() const {
  return has_submitted() || !inbox_.empty() || !posted_.empty() || is_shutdown_asked() ||
         is_called_.load(std::memory_order_seq_cst);
}

absl::Duration Reactor::time_to_sleep(bool is_home) {
  // First the flag, then the queues: see WakeFlag.
  wake_flag_.allow();
  if (has_work() || (!is_home && home_waits_.load(std::memory_order_acquire) == 1)) {
    return absl::ZeroDuration();
  }
  const std::int64_t earliest = std::min(timers_.earliest(), turn_deadline_);
  if (earliest == kNever) return absl::InfiniteDuration();
  return absl::Nanoseconds(std::max<std::int64_t>(earliest - core_.kernel().now(), 0));
}

Registration::Registration(Reactor& home, Kind kind) : TimerNode(home, kind) {}

void Registration::retire() { home().retire(*this); }

void Registration::add_hints(Readiness readiness) {
  std::uint32_t hints = 0;
  if (readiness.is_read_closed() || readiness.is_priority()) hints |= kMayHaveMore;
  if (readiness.is_error() || readiness.is_write_closed()) hints |= kHangUp;
  if (readiness.is_error()) hints |= kError;
  hints_.fetch_or(hints, std::memory_order_relaxed);
}

}  // namespace epore::internal
