#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_WORKER_POOL_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_WORKER_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/io_buffers.h"
#include "epore/runtime/internal/dispatch/lead.h"
#include "epore/runtime/internal/dispatch/run_queue.h"
#include "epore/runtime/internal/dispatch/watched_thread.h"
#include "epore/runtime/internal/reactor/sharing.h"

namespace epore::internal {

class Core;
class Reactor;

// The threads that run callbacks beside the poll threads, and the queues that they share.
//
// One wake for a batch, never one for each Runnable: push() wakes one sleeping worker, and a worker
// that takes a Runnable while more are left and others sleep wakes the next (a chain). A worker
// takes one at a time, so that none waits behind a slow callback while another thread is free.
//
// There are two queues. What is *handed over* is run by workers alone: everything, for
// Dispatch::workers, and what is known to be slow, for Dispatch::adaptive. What is *shared* is a
// leader's own work, when there is more of it than a wake costs: the leader takes back what no
// worker has taken before, and counts as one of the threads that run it.
//
// Only so many workers are busy at a time as were asked for. A worker that is blocked, or leads in
// the place of a poll thread, is not counted; spare threads, which the watchdog starts, then take
// its place.
class WorkerPool {
 public:
  explicit WorkerPool(Core& core);
  ~WorkerPool();

  // Starts `count` threads, and lets the watchdog start up to `spares` more; on an error those that
  // were started are still to be stopped.
  absl::Status start(int count, int spares);

  // Hands over all of `batch`. False, and not taken: the last worker has gone.
  [[nodiscard]] bool push(RunQueue& batch);

  // Shares all of `batch`. False, and not taken, as above.
  [[nodiscard]] bool share(RunQueue& batch);

  // A leader: takes back one that it has shared, or null.
  Ref<Runnable> take_back();

  // The leader: what workers have spent in shared runs since it last asked.
  SharedTime take_shared_time();

  // The watchdog: has a worker lead the reactor, if its leader is still stuck under `ticket`.
  void relieve(Reactor& reactor, Lead::Ticket ticket);

  // How many workers there can be. Constant after start().
  std::size_t most() const {
    return static_cast<std::size_t>(count_) + static_cast<std::size_t>(spares_);
  }

  // The watchdog: appends what Kernel::thread_id() is on each worker.
  void add_threads(std::vector<int>& ids);

  // The watchdog, at every tick: finds blocked workers and makes up for them. False: all sleep.
  bool watch(std::int64_t now);
  bool is_idle();

  // After the watchdog has stopped: the workers end when nothing is queued, and ring the gate of
  // the shutdown.
  void request_stop();
  bool has_ended();
  void join();

 private:
  struct Worker {
    Worker(std::string name, std::int64_t warn_after) : watched(std::move(name), warn_after) {}

    std::unique_ptr<IoBuffers> buffers = std::make_unique_for_overwrite<IoBuffers>();

    std::uint64_t thread = 0;
    std::atomic<std::uint32_t> parked{0};  // 1: sleeps, or is about to
    WatchedThread watched;

    // Under mutex_.
    bool is_busy = true;  // is counted in busy_
    Runnable* running = nullptr;
    bool is_shared = false;      // what it runs was shared, not handed over
    std::uint64_t run = 0;       // its number
    std::uint64_t seen_run = 0;  // the watchdog's
    std::int64_t seen_since = 0;
    std::uint64_t stuck_run = 0;  // the last run that `watched` was told of
  };
  // A worker that was in the same run at the last tick.
  struct Suspect {
    Worker* worker;
    std::uint64_t run;
    std::int64_t run_delay = 0;
    bool waits_for_lock = false;
  };
  struct Relief {
    Reactor* reactor;
    Lead::Ticket ticket;
  };
  enum class Step : std::uint8_t { run, lead, sleep, end };

  absl::Status start_one();
  bool find_suspects(std::int64_t now);
  void work(Worker& worker);
  SharedTime run(Runnable& runnable, std::int64_t began, bool is_shared);
  Step next_step(Worker& worker, Ref<Runnable>& runnable, Relief& relief, Worker*& next)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool add(RunQueue& batch, bool is_shared);
  Worker* sleeper_for_work() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool wants_worker() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void set_busy(Worker& worker, bool is_busy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void wake(Worker* worker);

  Core& core_;
  const std::int64_t warn_after_;
  std::vector<Suspect> suspects_;  // the watchdog only

  int count_ = 0;   // constant after start()
  int spares_ = 0;  // constant after start()

  absl::Mutex mutex_;
  std::vector<std::unique_ptr<Worker>> workers_ ABSL_GUARDED_BY(mutex_);  // only grows
  RunQueue handed_over_ ABSL_GUARDED_BY(mutex_);
  RunQueue shared_ ABSL_GUARDED_BY(mutex_);
  bool was_shared_ ABSL_GUARDED_BY(mutex_) = false;  // the last one taken: they alternate
  SharedTime shared_time_ ABSL_GUARDED_BY(mutex_);
  std::vector<Relief> reliefs_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker*> sleeping_ ABSL_GUARDED_BY(mutex_);
  int alive_ ABSL_GUARDED_BY(mutex_) = 0;  // workers that will look at the queues again
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_WORKER_POOL_H_
