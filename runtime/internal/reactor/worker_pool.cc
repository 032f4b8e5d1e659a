#include "epore/runtime/internal/reactor/worker_pool.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/reactor/watchdog.h"

namespace epore::internal {
namespace {

// The nanoseconds after which a worker that waits for a lock counts as blocked.
constexpr std::int64_t kLongestLock = 1'000'000'000;

}  // namespace

WorkerPool::WorkerPool(Core& core) : core_(core), warn_after_(warn_after(core.options())) {}

WorkerPool::~WorkerPool() = default;

absl::Status WorkerPool::start(int count, int spares) {
  count_ = count;
  spares_ = spares;
  for (int i = 0; i < count; ++i) {
    if (absl::Status started = start_one(); !started.ok()) return started;
  }
  return absl::OkStatus();
}

absl::Status WorkerPool::start_one() {
  Worker* worker = nullptr;
  std::string role;
  std::string name;
  {
    absl::MutexLock lock(&mutex_);
    role = absl::StrCat("worker", workers_.size());
    name = core_.thread_name(role);
    sleeping_.reserve(workers_.size() + 1);
    reliefs_.reserve(core_.reactors().size());
    suspects_.reserve(workers_.size() + 1);  // the watchdog starts spares, and nobody else later
    workers_.push_back(std::make_unique<Worker>(name, warn_after_));
    worker = workers_.back().get();
    ++alive_;
    ++busy_;
  }
  std::uint64_t thread = 0;
  SysResult started = SysResult::from_errno(ENOMEM);
  try {
    started = core_.start_thread(
        role, [this, worker] { work(*worker); }, &thread);
  } catch (const std::bad_alloc&) {
  }
  absl::MutexLock lock(&mutex_);
  if (started.ok()) {
    worker->thread = thread;
    return absl::OkStatus();
  }
  workers_.pop_back();  // only one thread at a time starts workers
  --alive_;
  --busy_;
  return errno_status(started.error(), absl::StrCat("starting thread ", name));
}

bool WorkerPool::push(RunQueue& batch, std::int64_t since) {
  return add(batch, /*is_shared=*/false, since);
}

bool WorkerPool::share(RunQueue& batch) { return add(batch, /*is_shared=*/true, kNever); }

bool WorkerPool::add(RunQueue& batch, bool is_shared, std::int64_t since) {
  Worker* woken = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (alive_ == 0) return false;
    if (since != kNever && sample_ == nullptr) {
      sample_ = batch.last();
      sampled_since_ = since;
    }
    (is_shared ? shared_ : handed_over_).append(batch);
    woken = sleeper_for_work();
  }
  wake(woken);
  core_.watchdog().poke();
  return true;
}

Ref<Runnable> WorkerPool::take_back() {
  absl::MutexLock lock(&mutex_);
  return shared_.empty() ? Ref<Runnable>() : shared_.pop();
}

void WorkerPool::take_all_back(RunQueue& queue) {
  const absl::MutexLock lock(&mutex_);
  queue.append(shared_);
}

SharedTime WorkerPool::take_shared_time() {
  const absl::MutexLock lock(&mutex_);
  return std::exchange(shared_time_, {});
}

void WorkerPool::relieve(Reactor& reactor, Lead::Ticket ticket) {
  Worker* woken = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    const auto asked = std::find_if(reliefs_.begin(), reliefs_.end(),
                                    [&](const Relief& r) { return r.reactor == &reactor; });
    if (asked != reliefs_.end()) {
      asked->ticket = ticket;
      return;  // watch() wakes or starts a worker for it
    }
    reliefs_.push_back(Relief{&reactor, ticket});
    if (!sleeping_.empty()) {
      woken = sleeping_.back();
      sleeping_.pop_back();
    }
  }
  wake(woken);
}

void WorkerPool::work(Worker& worker) {
  this_thread.core = &core_;
  this_thread.buffers = worker.buffers.get();
  this_thread.watched = &worker.watched;
  worker.watched.set_id(core_.kernel().thread_id());
  Ref<Runnable> runnable;
  SharedTime spent;
  for (;;) {
    Ref<Runnable> done;
    Relief relief;
    Worker* next = nullptr;
    Step step;
    std::uint64_t blocked = 0;
    {
      absl::MutexLock lock(&mutex_);
      std::swap(done, runnable);
      shared_time_.add(spent);
      spent = {};
      if (done && worker.stuck_run == worker.run) blocked = worker.run;
      step = next_step(worker, runnable, relief, next);
    }
    const bool has_run = static_cast<bool>(done);
    done = Ref<Runnable>();  // without the lock: this may destroy it
    wake(next);
    if (blocked != 0) worker.watched.over(blocked, this_thread.now);
    switch (step) {
      case Step::run: {
        const std::int64_t began = has_run ? this_thread.now : core_.kernel().now();
        if (worker.ready_since != kNever) core_.counters().add_delay(began - worker.ready_since);
        spent = run(*runnable, began, worker.is_shared);
        break;
      }
      case Step::lead:
        relief.reactor->relieve(relief.ticket);
        break;
      case Step::sleep:
        while (worker.parked.load(std::memory_order_acquire) == 1) {
          (void)core_.kernel().park(worker.parked, 1, -1);
        }
        break;
      case Step::end:
        this_thread = ThreadContext();
        worker.buffers = nullptr;
        core_.shutdown().gate().notify();
        return;
    }
  }
}

// Runs `runnable`. Returns the time that it took if it was shared.
SharedTime WorkerPool::run(Runnable& runnable, std::int64_t began, bool is_shared) {
  Kernel& kernel = core_.kernel();
  ThreadUsage before;
  ThreadUsage after;
  const bool is_known = core_.helpers() > 0 && kernel.thread_usage(&before).ok();
  this_thread.now = began;
  core_.execute(runnable);
  this_thread.now = kernel.now();
  const std::int64_t total = this_thread.now - began;
  if (!is_known || !kernel.thread_usage(&after).ok()) {
    core_.slowness_of(runnable).ran(total);
    return is_shared ? SharedTime{total, 0} : SharedTime{};
  }
  // The rest of the time is the wait for a processor, unless the thread slept.
  const std::int64_t cpu = after.cpu - before.cpu;
  const std::int64_t asleep =
      after.sleeps == before.sleeps ? 0 : std::max<std::int64_t>(total - cpu, 0);
  // A shared run that sleeps may wait for a lock that another shared run holds.
  core_.slowness_of(runnable).ran(is_shared ? cpu : cpu + asleep);
  return is_shared ? SharedTime{cpu, asleep} : SharedTime{};
}

WorkerPool::Step WorkerPool::next_step(Worker& worker, Ref<Runnable>& runnable, Relief& relief,
                                       Worker*& next) {
  worker.running = nullptr;
  set_busy(worker, true);
  if (!reliefs_.empty() && !is_stopping_) {
    relief = reliefs_.back();
    reliefs_.pop_back();
    set_busy(worker, false);
    next = sleeper_for_work();
    return Step::lead;
  }
  if (!handed_over_.empty() || !shared_.empty()) {
    const bool is_shared = handed_over_.empty() || (!shared_.empty() && !was_shared_);
    was_shared_ = is_shared;
    runnable = (is_shared ? shared_ : handed_over_).pop();
    worker.running = runnable.get();
    worker.ready_since = kNever;
    if (runnable.get() == sample_) {
      worker.ready_since = sampled_since_;
      sample_ = nullptr;
    }
    worker.is_shared = is_shared;
    ++worker.run;
    next = sleeper_for_work();
    return Step::run;
  }
  set_busy(worker, false);
  if (is_stopping_) {
    --alive_;
    return Step::end;
  }
  worker.parked.store(1, std::memory_order_relaxed);
  sleeping_.push_back(&worker);
  return Step::sleep;
}

WatchedThread::Stuck WorkerPool::stuck_so_far(absl::FunctionRef<std::int64_t()> now) {
  WatchedThread::Stuck all;
  const absl::MutexLock lock(&mutex_);
  for (const std::unique_ptr<Worker>& worker : workers_) {
    all.add(worker->watched.stuck_so_far(now));
  }
  return all;
}

// A worker that leads, as a relief, is in a callback if it is known to be stuck in one.
WorkerPool::Running WorkerPool::running() {
  Running all;
  const absl::MutexLock lock(&mutex_);
  for (const std::unique_ptr<Worker>& worker : workers_) {
    std::string what =
        worker->running != nullptr ? worker->running->describe() : worker->watched.what();
    if (what.empty()) continue;
    ++all.count;
    if (all.what.empty()) all.what = std::move(what);
  }
  return all;
}

void WorkerPool::add_threads(std::vector<int>& ids) {
  const absl::MutexLock lock(&mutex_);
  for (const std::unique_ptr<Worker>& worker : workers_) ids.push_back(worker->watched.id());
}

// Returns false if there are none.
bool WorkerPool::find_suspects(std::int64_t now) {
  suspects_.clear();
  const absl::MutexLock lock(&mutex_);
  for (const std::unique_ptr<Worker>& worker : workers_) {
    if (worker->running == nullptr || worker->run != worker->seen_run) {
      worker->seen_run = worker->run;
      worker->seen_since = now;
    } else {
      suspects_.push_back({worker.get(), worker->run});
    }
  }
  return !suspects_.empty();
}

bool WorkerPool::watch(std::int64_t now) {
  Worker* woken = nullptr;
  bool wants_spare = false;
  bool is_busy = false;
  if (find_suspects(now)) {
    for (Suspect& suspect : suspects_) {
      const int thread = suspect.worker->watched.id();
      (void)core_.kernel().run_delay(thread, &suspect.run_delay);
      suspect.waits_for_lock = core_.watchdog().waits_for_lock(thread);
    }
  }
  {
    absl::MutexLock lock(&mutex_);
    for (const Suspect& suspect : suspects_) {
      Worker& worker = *suspect.worker;
      if (worker.running == nullptr || worker.run != suspect.run) continue;
      if (worker.stuck_run != worker.run) {
        worker.stuck_run = worker.run;
        worker.watched.stuck(worker.run, worker.running->describe(), worker.seen_since,
                             suspect.run_delay);
      }
      const std::int64_t limit = suspect.waits_for_lock ? kLongestLock : WatchedThread::kBlocked;
      if (worker.is_busy && now - worker.seen_since >= limit) set_busy(worker, false);
    }
    if (!reliefs_.empty() && !sleeping_.empty()) {
      woken = sleeping_.back();
      sleeping_.pop_back();
    } else {
      woken = sleeper_for_work();
    }
    is_busy = static_cast<int>(sleeping_.size()) < alive_;
    wants_spare = (wants_worker() || !reliefs_.empty()) && sleeping_.empty() && woken == nullptr &&
                  alive_ > 0 && static_cast<int>(workers_.size()) < count_ + spares_;
  }
  wake(woken);
  for (std::size_t i = 0;; ++i) {  // outside the lock, as it logs
    Worker* worker = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (i == workers_.size()) break;
      worker = workers_[i].get();
    }
    is_busy |= core_.watchdog().report(worker->watched, now);
  }
  if (wants_spare) {
    absl::Status started = or_no_memory("starting a spare worker", [this] { return start_one(); });
    if (!started.ok()) {
      tell([&] {
        LOG_EVERY_N_SEC(ERROR, 1) << "epore: no spare worker for those that are blocked: "
                                  << started.message();
      });
    }
  }
  return is_busy;
}

bool WorkerPool::is_idle() {
  absl::MutexLock lock(&mutex_);
  return reliefs_.empty() && static_cast<int>(sleeping_.size()) == alive_;
}

// Returns a sleeping worker to wake, or null if there is no work for one.
WorkerPool::Worker* WorkerPool::sleeper_for_work() {
  if (sleeping_.empty() || !wants_worker()) return nullptr;
  Worker* worker = sleeping_.back();
  sleeping_.pop_back();
  set_busy(*worker, true);
  return worker;
}

// Whether there is work for one more worker. The leader that shared counts as one.
bool WorkerPool::wants_worker() const {
  return (!handed_over_.empty() && busy_ < count_) || (!shared_.empty() && busy_ < count_ - 1);
}

void WorkerPool::set_busy(Worker& worker, bool is_busy) {
  if (worker.is_busy == is_busy) return;
  worker.is_busy = is_busy;
  busy_ += is_busy ? 1 : -1;
}

void WorkerPool::wake(Worker* worker) {
  if (worker == nullptr) return;
  worker->parked.store(0, std::memory_order_release);
  (void)core_.kernel().unpark(worker->parked, 1);
}

void WorkerPool::request_stop() {
  std::vector<Worker*> sleeping;
  {
    absl::MutexLock lock(&mutex_);
    is_stopping_ = true;
    sleeping.swap(sleeping_);
  }
  for (Worker* worker : sleeping) wake(worker);
}

bool WorkerPool::has_ended() { return alive() == 0; }

int WorkerPool::alive() {
  absl::MutexLock lock(&mutex_);
  return alive_;
}

void WorkerPool::join() {
  for (std::size_t i = 0;; ++i) {
    std::uint64_t thread = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (i == workers_.size()) return;  // none is added: the watchdog has stopped
      thread = workers_[i]->thread;
    }
    (void)core_.kernel().join_thread(thread);
  }
}

}  // namespace epore::internal
