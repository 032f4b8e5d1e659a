#ifndef EPORE_RUNTIME_INTERNAL_TASK_COMPLETION_CORE_H_
#define EPORE_RUNTIME_INTERNAL_TASK_COMPLETION_CORE_H_

#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/wait_list.h"

namespace epore::internal {

class CompletionWait;

// A CompletionCore is a Completion without the type of its value.
//
//   waiting -> claimed   claim(): only the first one may store the value, without the lock
//   claimed -> complete  finish()
//   complete -> taken    the task has the value
class CompletionCore : public RefCounted, public InFrameCache {
 public:
  // Any thread: one Completer more, or less. Without a claim the last one completes with Aborted.
  void add_completer();
  void drop_completer();

  // Any thread: true for the first caller, who then calls finish().
  [[nodiscard]] bool claim();
  void finish(absl::Status status);

  // A CompletionWait, in its order.
  bool begin(CompletionWait& wait, TaskNode& node);
  void cancel(CompletionWait& wait, const absl::Status& why);
  void set_taken();

 protected:
  CompletionCore() = default;
  ~CompletionCore() override = default;

 private:
  enum class State : std::uint8_t { waiting, claimed, complete, taken };

  absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::waiting;
  std::uint32_t completers_ ABSL_GUARDED_BY(mutex_) = 0;
  bool had_completer_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);  // does not change any more when it is complete
  WaitList waiter_ ABSL_GUARDED_BY(mutex_);      // at most one
};

// Waits for a completion. `core` is null if the Completion was moved from.
class CompletionWait : public ListedOperation {
 public:
  bool begin(TaskNode& node);
  void finish(TaskNode&) {}

 protected:
  explicit CompletionWait(Ref<CompletionCore> core) : core_(std::move(core)) {}
  CompletionWait(CompletionWait&&) = default;  // before it begins
  ~CompletionWait() = default;

  CompletionCore& core() const { return *core_; }

 private:
  void cancel(const absl::Status& why) override { core_->cancel(*this, why); }
  const char* name() const override { return "Completion::wait"; }

  Ref<CompletionCore> core_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_COMPLETION_CORE_H_
