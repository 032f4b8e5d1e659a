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
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/base/io_buffers.h"
#include "epore/runtime/internal/dispatch/lead.h"
#include "epore/runtime/internal/dispatch/run_queue.h"
#include "epore/runtime/internal/dispatch/watched_thread.h"
#include "epore/runtime/internal/reactor/sharing.h"

namespace epore::internal {

class Core;
class Reactor;

// A WorkerPool is the threads that run callbacks beside the poll threads, and the queues that they
// share.
//
// A batch costs one wake, and not one for each Runnable. push() wakes one sleeping worker. A worker
// that takes a Runnable wakes the next sleeping worker if more Runnables are left. A worker takes
// one at a time, so that none waits behind a slow callback while another thread is free.
//
// There are two queues. Work that was handed over is run by workers alone: everything with
// Dispatch::workers, and slow connections with Dispatch::adaptive. Work that was shared is a
// leader's own work, when it is worth more than a wake. The leader takes back what no worker has
// taken, and counts as one of the threads that run it.
//
// At most as many workers are busy at a time as the options ask for. A worker that is blocked, or
// that leads for a poll thread, does not count. The watchdog starts spare workers for those.
class WorkerPool {
 public:
  explicit WorkerPool(Core& core);
  ~WorkerPool();

  // Starts `count` threads. The watchdog may start `spares` more. After an error the threads that
  // were started must still be stopped.
  absl::Status start(int count, int spares);

  // Hands over all of `batch`. Returns false, and leaves `batch` alone, if the last worker has
  // ended. `since` is when the batch was ready, for its queue delay; kNever if nobody knows.
  [[nodiscard]] bool push(RunQueue& batch, std::int64_t since = kNever);

  // Shares all of `batch`. Returns false as push() does.
  [[nodiscard]] bool share(RunQueue& batch);

  // A leader: takes back one shared Runnable, or returns null. Or all of them.
  Ref<Runnable> take_back();
  void take_all_back(RunQueue& queue);

  // The leader: returns the time that workers have spent in shared runs since its last call.
  SharedTime take_shared_time();

  // The watchdog: lets a worker lead the reactor, if its leader is still stuck under `ticket`.
  void relieve(Reactor& reactor, Lead::Ticket ticket);

  // How many workers there can be. Constant after start().
  std::size_t most() const {
    return static_cast<std::size_t>(count_) + static_cast<std::size_t>(spares_);
  }

  // Any thread: WatchedThread::stuck_so_far() of all workers.
  WatchedThread::Stuck stuck_so_far(absl::FunctionRef<std::int64_t()> now);

  // Any thread: how many workers are in a callback, and what one of them is in.
  struct Running {
    std::size_t count = 0;
    std::string what;
  };
  Running running();

  // The watchdog: appends the Kernel::thread_id() of each worker.
  void add_threads(std::vector<int>& ids);

  // The watchdog, at every tick: finds blocked workers and replaces them. Returns false if all
  // sleep.
  bool watch(std::int64_t now);
  bool is_idle();

  // After the watchdog has stopped: lets the workers end when nothing is queued. They then notify
  // the gate of the shutdown.
  void request_stop();
  bool has_ended();
  int alive();
  void join();

 private:
  struct Worker {
    Worker(std::string name, std::int64_t warn_after) : watched(std::move(name), warn_after) {}

    std::unique_ptr<IoBuffers> buffers = std::make_unique_for_overwrite<IoBuffers>();

    std::uint64_t thread = 0;

    // 1 while the worker sleeps or is about to. The worker stores 1 under mutex_ (relaxed), its
    // waker stores 0 (release) and unparks; the worker loads (acquire). The race: a wake comes
    // before the park; the futex compares and returns at once.
    std::atomic<std::uint32_t> parked{0};

    WatchedThread watched;

    // Under mutex_.
    bool is_busy = true;  // counted in busy_
    Runnable* running = nullptr;
    bool is_shared = false;             // its run was shared, not handed over
    std::int64_t ready_since = kNever;  // of its run, if that is a sample of the queue delay
    std::uint64_t run = 0;              // the number of its last run
    std::uint64_t seen_run = 0;         // the run that the watchdog saw last
    std::int64_t seen_since = 0;
    std::uint64_t stuck_run = 0;  // the last run that was reported to `watched`
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
  bool add(RunQueue& batch, bool is_shared, std::int64_t since);
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
  bool was_shared_ ABSL_GUARDED_BY(mutex_) = false;  // the last take was of shared_; they alternate
  SharedTime shared_time_ ABSL_GUARDED_BY(mutex_);

  // The last one of a batch that was handed over, until a worker takes it, and since when it was
  // ready. One at a time, so that a queue needs no times.
  const Runnable* sample_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::int64_t sampled_since_ ABSL_GUARDED_BY(mutex_) = 0;

  std::vector<Relief> reliefs_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker*> sleeping_ ABSL_GUARDED_BY(mutex_);
  int alive_ ABSL_GUARDED_BY(mutex_) = 0;  // the workers that will look at the queues again
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_WORKER_POOL_H_
