#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_BLOCKING_POOL_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_BLOCKING_POOL_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/gate.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/blocking_work.h"
#include "epore/runtime/lane.h"

namespace epore::internal {

class Core;

// A BlockingPool is what a Lane names: the threads for work that blocks, which start on demand and
// stay. They are not the workers: those run callbacks, which must not wait behind work that blocks.
//
// A task awaits each piece of work, so a shutdown, which waits for tasks, finds the pool idle.
class BlockingPool final : public RefCounted {
 public:
  // `limit_name`: what to call options.queue in an error, a literal.
  BlockingPool(Core& core, LaneOptions options, std::string_view limit_name);

  // A handle of this pool.
  Lane handle() { return Lane(Ref<BlockingPool>::share(this)); }

  // The core may be gone if `core` is another one.
  bool is_of(const Core& core) const { return &core_ == &core; }

  // Any thread of the runtime, in a task that has not ended: queues `work`. Fails it if too much
  // waits already. Fails what is queued if there is no thread and none can be started.
  void push(BlockingWork& work);

  // Returns true if `work` was in the queue. It is not run any more, nor failed.
  bool remove(BlockingWork& work);

  // Any thread: how many pieces of work wait or run.
  std::size_t size();

  // After the last task: ends the threads.
  void stop();

 private:
  void start_thread();
  void loop();
  BlockingWork* wait_for_work();
  void append(BlockingWork& work, bool starts_thread) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void take_out(BlockingWork& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Core& core_;
  const LaneOptions options_;
  const std::string_view limit_name_;
  Gate gate_;

  absl::Mutex mutex_;
  BlockingWork* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  BlockingWork* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;  // threads that wait, or are about to look
  int threads_ ABSL_GUARDED_BY(mutex_) = 0;       // those that are being started as well
  std::vector<std::uint64_t> ids_ ABSL_GUARDED_BY(mutex_);  // has room for all
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

// The lanes that a program has made. They live as long as the runtime. Any thread.
class Lanes {
 public:
  // Errors: FailedPrecondition after stop().
  absl::StatusOr<Lane> make(Core& core, LaneOptions options);

  // As those of BlockingPool.
  std::size_t size();
  void stop();

 private:
  absl::Mutex mutex_;
  std::vector<Ref<BlockingPool>> pools_ ABSL_GUARDED_BY(mutex_);
  bool is_stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_BLOCKING_POOL_H_
