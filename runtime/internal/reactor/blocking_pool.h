#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_BLOCKING_POOL_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_BLOCKING_POOL_H_

#include <array>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/gate.h"
#include "epore/runtime/internal/task/blocking_work.h"

namespace epore::internal {

class Core;

// A BlockingPool has the threads for work that blocks, at most kThreads of them, which start on
// demand and stay. They are not the workers: those run callbacks, which must not wait behind work
// that blocks.
//
// A task awaits each piece of work, so a shutdown, which waits for tasks, finds the pool idle.
class BlockingPool {
 public:
  static constexpr int kThreads = 8;

  explicit BlockingPool(Core& core);

  // Any thread of the runtime, in a task that has not ended: queues `work`. Fails what is queued
  // if there is no thread and none can be started.
  void push(BlockingWork& work);

  // Returns true if `work` was in the queue. It is not run any more, nor failed.
  bool remove(BlockingWork& work);

  // After the last task: ends the threads.
  void stop();

 private:
  void start_thread();
  void loop();
  BlockingWork* wait_for_work();
  void take_out(BlockingWork& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Core& core_;
  Gate gate_;

  absl::Mutex mutex_;
  BlockingWork* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  BlockingWork* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
  int queued_ ABSL_GUARDED_BY(mutex_) = 0;
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;     // threads that wait, or are about to look
  int threads_ ABSL_GUARDED_BY(mutex_) = 0;  // those that are being started as well
  int started_ ABSL_GUARDED_BY(mutex_) = 0;
  std::array<std::uint64_t, kThreads> ids_ ABSL_GUARDED_BY(mutex_);  // of the first `started_`
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_BLOCKING_POOL_H_
