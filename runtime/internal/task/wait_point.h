#ifndef EPORE_RUNTIME_INTERNAL_TASK_WAIT_POINT_H_
#define EPORE_RUNTIME_INTERNAL_TASK_WAIT_POINT_H_

#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/task/wait_list.h"

namespace epore::internal {

class PointOperation;

// A WaitPoint is what tasks of any order wait for in line until it admits them: permits of a
// semaphore, an event, the end of a count. Whoever came first is admitted first.
class WaitPoint {
 public:
  WaitPoint(const WaitPoint&) = delete;
  WaitPoint& operator=(const WaitPoint&) = delete;

 protected:
  WaitPoint() = default;

  // Nobody may wait. Calls of other threads that have admitted somebody may be about to return.
  ~WaitPoint();

  // Under the lock, by the first in line: admits it if that is possible now.
  virtual bool admit(const PointOperation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) = 0;

  // Admits those in line, as far as possible.
  void admit_waiting(ReadyList& ready) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  WaitList waiting_ ABSL_GUARDED_BY(mutex_);

 private:
  friend class PointOperation;

  bool begin(PointOperation& operation, TaskNode& node);
  void cancel(PointOperation& operation, const absl::Status& why);
};

// Waits until a WaitPoint admits it.
class PointOperation : public ListedOperation {
 public:
  bool begin(TaskNode& node) { return point_->begin(*this, node); }
  void finish(TaskNode&) {}

  std::size_t count() const { return count_; }

 protected:
  explicit PointOperation(WaitPoint& point, std::size_t count = 1)
      : point_(&point), count_(count) {}
  PointOperation(PointOperation&&) = default;  // before it begins
  ~PointOperation() = default;

  bool is_admitted() const { return is_admitted_; }

 private:
  friend class WaitPoint;

  void cancel(const absl::Status& why) override { point_->cancel(*this, why); }

  WaitPoint* point_;
  std::size_t count_;

  // Written under the lock, or by begin(). Its own order reads it when it has completed.
  bool is_admitted_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_WAIT_POINT_H_
