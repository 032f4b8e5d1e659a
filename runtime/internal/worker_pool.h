#ifndef EPORE_RUNTIME_INTERNAL_WORKER_POOL_H_
#define EPORE_RUNTIME_INTERNAL_WORKER_POOL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "runtime/internal/run_queue.h"

namespace epore::internal {

class Core;

// The threads that run callbacks for Dispatch::workers, and the queue that they share.
//
// One wake for a batch, never one for each Runnable: push() wakes one sleeping worker, and a worker
// that takes a Runnable while more are left and others sleep wakes the next (a chain). A worker
// takes one at a time, so that none waits behind a slow callback while another thread is free.
class WorkerPool {
 public:
  explicit WorkerPool(Core& core);
  ~WorkerPool();

  // Starts `count` threads; on an error those that were started are still to be stopped.
  absl::Status start(int count);

  // Moves all of `batch` into the queue. False, and not taken: the last worker has gone.
  [[nodiscard]] bool push(RunQueue& batch);

  // Lets the workers run what is queued, and joins them.
  void stop();

 private:
  struct Worker {
    std::uint64_t thread = 0;
    std::atomic<std::uint32_t> parked{0};  // 1: sleeps, or is about to
  };

  void work(Worker& worker);
  void wake(Worker* worker);

  Core& core_;
  std::vector<std::unique_ptr<Worker>> workers_;  // constant after start(): late wakes touch them

  absl::Mutex mutex_;
  RunQueue queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker*> sleeping_ ABSL_GUARDED_BY(mutex_);
  int working_ ABSL_GUARDED_BY(mutex_) = 0;  // workers that will look at the queue again
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_WORKER_POOL_H_
