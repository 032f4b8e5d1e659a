#ifndef EPORE_RUNTIME_INTERNAL_TASK_WAIT_LIST_H_
#define EPORE_RUNTIME_INTERNAL_TASK_WAIT_LIST_H_

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/task/operation.h"
#include "epore/runtime/internal/task/task_node.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore::internal {

// A ListedOperation waits in a WaitList, where any thread may complete it. The list and all members
// here are guarded by the mutex of the primitive that has the list.
//
//   the waiter's order                        any thread
//   begin(): lock; push(); unlock
//                                             lock; ReadyList::add(); unlock
//   cancel(): lock; not listed: unlock        ~ReadyList(): Trampoline::complete()
//   the coroutine resumes
//
// Whoever takes it off the list completes it. So it completes once, and a completion that was
// before a stop wins. It stays alive until then, as only its completion resumes the coroutine.
class ListedOperation : public Operation {
 protected:
  ListedOperation() = default;
  ListedOperation(ListedOperation&&) = default;  // before it begins
  ~ListedOperation() = default;

 private:
  friend class WaitList;
  friend class ReadyList;

  TaskNode* node_ = nullptr;
  ListedOperation* previous_ = nullptr;
  ListedOperation* next_ = nullptr;
  const absl::Status* error_ = nullptr;
  bool is_listed_ = false;
};

// The operations that wait for the same thing, the first one first.
class WaitList {
 public:
  WaitList() = default;
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  // In begin(): `operation` waits for `node`, behind all others.
  void push(ListedOperation& operation, TaskNode& node) {
    operation.wait(node);
    operation.node_ = &node;
    operation.previous_ = last_;
    operation.next_ = nullptr;
    operation.is_listed_ = true;
    (last_ != nullptr ? last_->next_ : first_) = &operation;
    last_ = &operation;
    ++size_;
  }

  ListedOperation* first() const { return first_; }
  static ListedOperation* next(const ListedOperation& operation) { return operation.next_; }
  std::size_t size() const { return size_; }
  bool empty() const { return first_ == nullptr; }

  // Whether the operation waits, in the list that it uses.
  static bool has(const ListedOperation& operation) { return operation.is_listed_; }

 private:
  friend class ReadyList;

  void remove(ListedOperation& operation) {
    (operation.previous_ != nullptr ? operation.previous_->next_ : first_) = operation.next_;
    (operation.next_ != nullptr ? operation.next_->previous_ : last_) = operation.previous_;
    operation.is_listed_ = false;
    --size_;
  }

  ListedOperation* first_ = nullptr;
  ListedOperation* last_ = nullptr;
  std::size_t size_ = 0;
};

// A ReadyList collects operations under the mutex of a primitive, and completes them when the mutex
// is free: declare it before the lock.
//
//   ReadyList ready;
//   const absl::MutexLock lock(&mutex_);
//   while (!waiting_.empty()) ready.add(waiting_, *waiting_.first());
class ReadyList {
 public:
  ReadyList() = default;
  ReadyList(const ReadyList&) = delete;
  ReadyList& operator=(const ReadyList&) = delete;
  ~ReadyList() {
    while (first_ != nullptr) {
      ListedOperation& operation = *std::exchange(first_, first_->next_);
      absl::Status status = operation.error_ == nullptr ? absl::OkStatus() : *operation.error_;
      Trampoline::complete(*operation.node_, std::move(status));  // it may be gone now
    }
  }

  // Moves it from `list` to here. It completes with `error` if there is one, which must live as
  // long as this list.
  void add(WaitList& list, ListedOperation& operation, const absl::Status* error = nullptr) {
    list.remove(operation);
    operation.error_ = error;
    operation.next_ = nullptr;
    (last_ != nullptr ? last_->next_ : first_) = &operation;
    last_ = &operation;
  }

 private:
  ListedOperation* first_ = nullptr;
  ListedOperation* last_ = nullptr;
};

// Whether a stop applies to `node`, which then completes with it. Every begin() asks this first.
inline bool ends_with_stop(TaskNode& node) {
  const absl::Status* const stop = find_stop(node.scope);
  if (stop == nullptr) [[likely]]
    return false;
  node.status = *stop;
  return true;
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_WAIT_LIST_H_
