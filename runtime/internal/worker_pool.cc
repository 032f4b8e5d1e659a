#include "runtime/internal/worker_pool.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "poll/sys/errno_status.h"
#include "runtime/internal/core.h"
#include "runtime/internal/thread_context.h"

namespace epore::internal {

WorkerPool::WorkerPool(Core& core) : core_(core) {}

WorkerPool::~WorkerPool() = default;

absl::Status WorkerPool::start(int count) {
  {
    absl::MutexLock lock(&mutex_);
    sleeping_.reserve(static_cast<std::size_t>(count));
  }
  for (int i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>());
    Worker& worker = *workers_.back();
    {
      absl::MutexLock lock(&mutex_);
      ++working_;
    }
    const SysResult started = core_.kernel().start_thread(
        absl::StrCat("epore-worker", i).c_str(), [this, &worker] { work(worker); }, &worker.thread);
    if (!started.ok()) {
      workers_.pop_back();
      absl::MutexLock lock(&mutex_);
      --working_;
      return errno_status(started.error(), absl::StrCat("starting worker thread ", i));
    }
  }
  return absl::OkStatus();
}

bool WorkerPool::push(RunQueue& batch) {
  Worker* woken = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (working_ == 0) return false;
    queue_.append(batch);
    if (!sleeping_.empty()) {
      woken = sleeping_.back();
      sleeping_.pop_back();
    }
  }
  wake(woken);
  return true;
}

void WorkerPool::work(Worker& worker) {
  const auto buffers = std::make_unique<IoBuffers>();
  this_thread.core = &core_;
  this_thread.buffers = buffers.get();
  for (;;) {
    Ref<Runnable> runnable;
    Worker* next = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (!queue_.empty()) {
        runnable = queue_.pop();
        if (!queue_.empty() && !sleeping_.empty()) {
          next = sleeping_.back();
          sleeping_.pop_back();
        }
      } else if (is_stopping_) {
        --working_;
        break;
      } else {
        worker.parked.store(1, std::memory_order_relaxed);
        sleeping_.push_back(&worker);
      }
    }
    if (runnable) {
      wake(next);
      this_thread.now = core_.kernel().now();
      core_.execute(std::move(runnable));
      continue;
    }
    while (worker.parked.load(std::memory_order_acquire) == 1) {
      (void)core_.kernel().park(worker.parked, 1, -1);
    }
  }
  this_thread = ThreadContext();
}

void WorkerPool::wake(Worker* worker) {
  if (worker == nullptr) return;
  worker->parked.store(0, std::memory_order_release);
  (void)core_.kernel().unpark(worker->parked, 1);
}

void WorkerPool::stop() {
  std::vector<Worker*> sleeping;
  {
    absl::MutexLock lock(&mutex_);
    is_stopping_ = true;
    sleeping.swap(sleeping_);
  }
  for (Worker* worker : sleeping) wake(worker);
  for (const std::unique_ptr<Worker>& worker : workers_) {
    (void)core_.kernel().join_thread(worker->thread);
  }
}

}  // namespace epore::internal
