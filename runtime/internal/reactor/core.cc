#include "epore/runtime/internal/reactor/core.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/engine/selector_factory.h"
#include "epore/poll/kernel/real_kernel.h"
#include "epore/runtime/internal/base/caught_exception.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/dispatch/watched_thread.h"
#include "epore/runtime/internal/reactor/posted_closure.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {

namespace {

// The most threads for blocking() without a lane.
constexpr int kBlockingThreads = 8;

// Poll threads run callbacks as well. More threads than processors would only take turns. Options
// that are out of their range are refused later.
int helpers_of(const RuntimeOptions& options, int workers, int processors) {
  if (options.dispatch != Dispatch::adaptive || options.reactors < 1) return 0;
  return std::max(0, std::min(workers, processors) - options.reactors);
}

std::uint32_t count_forks_from_now_on() {
  count_forks();
  return forks.load(std::memory_order_relaxed);
}

}  // namespace

Core::Core(RuntimeOptions options)
    : options_(std::move(options)),
      own_kernel_(options_.kernel == nullptr ? std::make_shared<RealKernel>() : nullptr),
      kernel_(options_.kernel == nullptr ? *own_kernel_ : *options_.kernel),
      forks_at_start_(count_forks_from_now_on()),
      worker_count_(options_.workers > 0 ? options_.workers : kernel_.processors()),
      helpers_(helpers_of(options_, worker_count_, kernel_.processors())),
      budget_(counters_, options_.max_queued_bytes),
      workers_(*this),
      blocking_(Ref<BlockingPool>::adopt(new BlockingPool(
          *this,
          {.name = "blocking", .threads = kBlockingThreads, .queue = options_.blocking_queue},
          "RuntimeOptions::blocking_queue"))),
      watchdog_(*this),
      permits_(options_.max_connections),
      resolver_(kernel_, own_kernel_),
      caller_loop_(*this),
      shutdown_(*this, kernel_),
      tasks_(shutdown_, caller_loop_, kernel_) {
  status_ = or_no_memory("Runtime", [this] { return start(); });
  if (!status_.ok()) shutdown_.abandon();
}

Core::~Core() = default;

absl::Status Core::start() {
  if (absl::Status bad = options_.check(); !bad.ok()) return bad;
  absl::Status made = make_reactors(options_.selector);
  const std::string fallback(fallback_for(options_.selector));
  if (!made.ok() && !fallback.empty() && !options_.require_selector) {
    reactors_.clear();
    selector_reason_ = std::string(made.message());
    made = make_reactors(fallback);
    LOG_IF(WARNING, made.ok()) << "epore: the event queue is " << fallback
                               << ", as the system refused "
                               << "the engine that was asked for: " << selector_reason_;
  }
  if (!made.ok()) return made;
  if (options_.dispatch == Dispatch::adaptive || options_.dispatch == Dispatch::workers) {
    absl::Status started = workers_.start(worker_count_, options_.spare_workers);
    if (!started.ok()) return started;
    if (started = watchdog_.start(); !started.ok()) return started;
  }
  for (const std::unique_ptr<Reactor>& reactor : reactors_) {
    if (absl::Status started = reactor->start(); !started.ok()) return started;
  }
  return absl::OkStatus();
}

absl::Status Core::forked(std::string_view call) {
  return absl::FailedPreconditionError(
      absl::StrCat(call, ": this is a forked child, which has none of the runtime's threads"));
}

// Logs nothing: the log may wait for a lock that a thread of the parent had.
void Core::end_child() {
  constexpr std::string_view kMessage =
      "epore: a child that a callback has forked returned from that callback, and ends here: it "
      "must end in the callback, by execve(2) or _exit(2)\n";
  (void)kernel().write(STDERR_FILENO, kMessage.data(), kMessage.size());
  std::abort();
}

std::string Core::thread_name(std::string_view role) const {
  return absl::StrCat(options_.thread_name, "-", role);
}

SysResult Core::start_thread(std::string_view role, std::function<void()> body, std::uint64_t* id) {
  std::string name = thread_name(role);
  const char* const short_name = name.c_str();
  if (!options_.on_thread_start && !options_.on_thread_stop) {
    return kernel_.start_thread(short_name, std::move(body), id);
  }
  const auto with_hooks = [this, name, body = std::move(body)] {
    const auto call_hook = [&](const std::function<void(std::string_view)>& hook) {
      this_thread.core = this;  // so that what would wait for its own end is refused
      if (hook) call(hook, name);
      this_thread = ThreadContext();
    };
    call_hook(options_.on_thread_start);
    body();
    call_hook(options_.on_thread_stop);
  };
  return kernel_.start_thread(short_name, with_hooks, id);
}

// All of them have the same engine.
absl::Status Core::make_reactors(const std::string& selector) {
  for (int i = 0; i < options_.reactors; ++i) {
    absl::StatusOr<std::unique_ptr<Reactor>> reactor = Reactor::create(*this, i, selector);
    if (!reactor.ok()) return reactor.status();
    if (absl::Status refused = (*reactor)->begin_receives(); !refused.ok()) {
      selector_reason_ = absl::StrCat((*reactor)->registry()->selector_name(),
                                      " without completions: ", refused.message());
    }
    reactors_.push_back(*std::move(reactor));
  }
  return absl::OkStatus();
}

bool Core::is_for_workers(const Slowness& slowness) const {
  return options_.dispatch == Dispatch::workers || slowness.is_slow();
}

bool Core::offer(Ref<Runnable>& runnable) {
  if (runnable->is_member()) {
    Runnable& member = *runnable;
    member.queue_in_order(std::move(runnable));
    return true;
  }
  if (!runnable->is_pinned() && is_for_workers(slowness_of(*runnable))) {
    RunQueue one;
    one.push(std::move(runnable));
    if (workers_.push(one)) return true;
    runnable = one.pop();
    if (options_.dispatch == Dispatch::workers) return false;
  }
  Reactor& home = reactor_for(*runnable);
  return home.submit(std::move(runnable));
}

bool Core::offer(absl::AnyInvocable<void()>&& closure) {
  Reactor& home = any_reactor();
  if (!is_for_workers(passing_)) {
    return home.post(std::make_unique<PostedClosure>(std::move(closure)));
  }
  Ref<Runnable> queued = Ref<Runnable>::adopt(new QueuedClosure(home, std::move(closure)));
  return offer(queued);
}

void Core::schedule(Ref<Runnable> runnable) {
  if (!offer(runnable)) execute(*runnable);
}

void Core::schedule(RunQueue& batch, std::int64_t since) {
  if (workers_.push(batch, since)) return;
  while (!batch.empty()) execute(*batch.pop());
}

absl::Status Core::post(absl::AnyInvocable<void()>&& closure) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  if (phase() < Phase::refusing) {
    count_post(closure);
    if (offer(std::move(closure))) return absl::OkStatus();
  }
  return absl::FailedPreconditionError("post: the runtime is shut down");
}

void Core::time_post(absl::AnyInvocable<void()>& closure) {
  TimedClosure::put_before(closure, *this);
}

void TimedClosure::put_before(absl::AnyInvocable<void()>& closure, Core& core) {
  std::unique_ptr<TimedClosure> timed;
  try {
    timed.reset(new TimedClosure{{}, core, core.kernel().now(), {}});
  } catch (const std::bad_alloc&) {
    return;  // one sample less
  }
  timed->closure = std::move(closure);
  // Needs no memory of its own: a pointer fits in.
  closure = [timed = std::move(timed)] {
    timed->core.counters().add_delay(timed->core.kernel().now() - timed->posted_at);
    timed->closure();
  };
}

// An order runs on the thread where a member became ready, which saves a wake.
Reactor& Core::reactor_for(Runnable& runnable) {
  const bool may_be_here = runnable.kind() == Runnable::Kind::order && this_thread.core == this;
  return may_be_here && this_thread.reactor != nullptr ? *this_thread.reactor : runnable.home();
}

Reactor& Core::any_reactor() {
  if (this_thread.core == this && this_thread.reactor != nullptr) return *this_thread.reactor;
  if (reactors_.size() == 1) return *reactors_.front();
  return *reactors_[next_reactor_.fetch_add(1, std::memory_order_relaxed) % reactors_.size()];
}

Counters Core::snapshot() {
  Counters counters;
  const auto difference = [this](Counter came, Counter went) {
    const std::uint64_t gone = counters_.sum(went);  // read first, so never the larger
    const std::uint64_t all = counters_.sum(came);
    return all > gone ? all - gone : 0;
  };
  counters.connections = difference(Counter::connections_opened, Counter::connections_closed);
  counters.queued_bytes = difference(Counter::bytes_queued, Counter::bytes_dequeued);
  for (const std::unique_ptr<Reactor>& reactor : reactors_) {
    counters.timers_armed += reactor->timers().size();
  }
  counters.accepts = counters_.sum(Counter::accepts);
  counters.accept_errors = counters_.sum(Counter::accept_errors);
  counters.accept_pauses = counters_.sum(Counter::accept_pauses);
  counters.connects = counters_.sum(Counter::connects);
  counters.connect_errors = counters_.sum(Counter::connect_errors);
  counters.polls = counters_.sum(Counter::polls);
  counters.events = counters_.sum(Counter::events);
  counters.stale_events = counters_.sum(Counter::stale_events);
  counters.callbacks = counters_.sum(Counter::callbacks);
  counters.callback_exceptions = counters_.sum(Counter::callback_exceptions);
  counters.handler_errors = counters_.sum(Counter::handler_errors);
  counters.posts = counters_.sum(Counter::posts) + counters_.sum(Counter::connection_posts);
  counters.shared = counters_.sum(Counter::shared);
  counters.reliefs = counters_.sum(Counter::reliefs);
  counters.wakes = counters_.sum(Counter::wakes);
  counters.timers_fired = counters_.sum(Counter::timers_fired);
  counters.bytes_in = counters_.sum(Counter::bytes_in);
  counters.bytes_out = counters_.sum(Counter::bytes_out);
  counters.bytes_of_files = counters_.sum(Counter::bytes_of_files);
  counters.bytes_spliced = counters_.sum(Counter::bytes_spliced);
  counters.read_pauses = counters_.sum(Counter::read_pauses);
  counters.connections_cut_off = counters_.sum(Counter::connections_cut_off);
  counters.high_marks = counters_.sum(Counter::high_marks);
  static_assert(Counters::kDelayBuckets == kDelayBuckets);
  for (std::size_t i = 0; i < kDelayBuckets; ++i) counters.queue_delay[i] = counters_.delays(i);
  add_stuck(counters);
  if (!reactors_.empty()) counters.selector = reactors_.front()->registry()->selector_name();
  counters.selector_reason = selector_reason_;
  const KernelCallCounts calls = kernel_.counts();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (calls[i] == 0) continue;
    counters.system_calls.emplace_back(kernel_call_name(static_cast<KernelCall>(i)), calls[i]);
  }
  return counters;
}

void Core::add_stuck(Counters& counters) {
  const auto now = [this] { return kernel_.now(); };
  WatchedThread::Stuck stuck = workers_.stuck_so_far(now);
  for (const std::unique_ptr<Reactor>& reactor : reactors_) {
    stuck.add(reactor->watched().stuck_so_far(now));
  }
  counters.stuck_callbacks = stuck.count;
  counters.longest_stuck_callback = std::move(stuck.what);
  counters.longest_stuck_callback_us = static_cast<std::uint64_t>(stuck.longest) / 1000;
}

void Core::report_exception() {
  counters_.add(Counter::callback_exceptions);
  tell([] { LOG(ERROR) << "epore: " << caught_exception().message(); });
}

}  // namespace epore::internal
