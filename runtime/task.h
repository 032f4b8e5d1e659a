#ifndef EPORE_RUNTIME_TASK_H_
#define EPORE_RUNTIME_TASK_H_

#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/promise.h"

namespace epore {

// A Task is a coroutine that has not begun: an asynchronous function with its arguments. It begins
// when it is awaited, or given to Runtime::spawn(), run() or listen().
//
//   epore::Task<int> twice(epore::Channel<int>& numbers) {
//     const int number = co_await numbers.receive();  // an error ends this task with that error
//     co_return 2 * number;
//   }
//
// It ends with a StatusOr<T>, or a Status for Task<>:
//
// - `co_await x` gives the value of x. If x ends with an error, this coroutine ends with the same
//   error: its variables are destroyed, and what awaits it gets the error.
// - `co_await x.result()` gives the StatusOr (or Status) of x, and goes on.
// - `co_await status` and `co_await status_or` return early in the same way.
// - `co_return value` or `co_return status` end a Task<T>. A Task<> ends with `co_return;` or at
//   the end of its body, and with an error by `co_await status`.
// - An exception that leaves the body ends it with Internal.
//
// Threads: the coroutines of a task run in one order (see order.h), one at a time, on any thread of
// the runtime. Never use a lock of a thread across a co_await.
//
// Lifetime: arguments live in the frame of the coroutine. Those that are references must outlive
// it; they do where the task is awaited in the same expression. The captures of a lambda belong to
// the lambda and not to the frame, so a lambda must outlive the task too: spawn(), listen() and
// Group::spawn() see to that.
//
// Edges, guaranteed:
//
// 1. A coroutine resumes only in its order, and never inside the call that has completed what it
//    waits for.
// 2. A task that has begun always ends by itself: a stop or a shutdown lets what it waits for end
//    with Cancelled. No frame is destroyed while something can still complete it.
// 3. A task that is dropped without having begun does nothing. One that was moved from, or awaited
//    before, ends what awaits it with FailedPrecondition.
//
// See docs/guide/coroutines.md.
template <typename T = void>
class [[nodiscard]] Task : public internal::WithResult<Task<T>> {
  static_assert(std::is_object_v<T> || std::is_void_v<T>,
                "a Task gives a value: Task<T*> for a pointer to what is elsewhere, not Task<T&>");

 public:
  using ValueType = T;
  using Made = internal::TaskCall<T>;
  using promise_type = internal::TaskPromise<T>;

  Task(Task&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(promise_, other.promise_);
    return *this;
  }
  ~Task() {
    if (has_frame()) promise_->frame().destroy();
  }

 private:
  friend promise_type;
  friend class internal::TaskCall<T>;

  Task() : promise_(internal::no_frame<promise_type>()) {}  // there was no memory for it
  explicit Task(promise_type* promise) : promise_(promise) {}

  bool has_frame() const {
    return promise_ != nullptr && promise_ != internal::no_frame<promise_type>();
  }

  promise_type* promise_;  // null: it was moved from
};

namespace internal {

inline Task<void> TaskPromise<void>::get_return_object_on_allocation_failure() noexcept {
  return Task<void>();
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  static_assert(alignof(TaskPromise) == alignof(CoroutineNode), "see CoroutineNode");
  return Task<void>(this);
}

// Starts the child and returns true if it has ended.
bool start_child(CoroutineNode& child, TaskNode& parent);

// Completes `node` with the error of a Task without a frame, and returns true.
bool fail_to_start(bool was_moved_from, TaskNode& node);

// A Task as an Awaitable, with room for its value.
template <typename T>
class TaskCall : public WithResult<TaskCall<T>> {
 public:
  using Value = T;

  explicit TaskCall(Task<T>&& task) : task_(std::move(task)) {}
  TaskCall(TaskCall&& other) noexcept : task_(std::move(other.task_)) {}  // before it begins

  bool begin(TaskNode& node) {
    if (!task_.has_frame()) [[unlikely]]
      return fail_to_start(task_.promise_ == nullptr, node);
    task_.promise_->set_target(&value_);
    return start_child(*std::exchange(task_.promise_, nullptr), node);
  }
  void finish(TaskNode&) {}
  T take() { return *std::move(value_); }

 private:
  Task<T> task_;
  std::optional<T> value_;
};

template <>
class TaskCall<void> : public WithResult<TaskCall<void>> {
 public:
  using Value = void;

  explicit TaskCall(Task<void>&& task) : task_(std::move(task)) {}

  bool begin(TaskNode& node) {
    if (!task_.has_frame()) [[unlikely]]
      return fail_to_start(task_.promise_ == nullptr, node);
    return start_child(*std::exchange(task_.promise_, nullptr), node);
  }
  void finish(TaskNode&) {}
  void take() {}

 private:
  Task<void> task_;
};

// What an Awaitable is inside another one: what a Task or its like makes, others stay as they are.
template <typename A>
struct AwaitableOf {
  using Type = A;
};
template <MakesAwaitable C>
struct AwaitableOf<C> {
  using Type = typename C::Made;
};
template <typename A>
struct AwaitableOf<Result<A>> {
  static_assert(!sizeof(A*), "result() belongs outside: co_await all(x, y).result()");
};
template <typename A>
using AsAwaitable = typename AwaitableOf<std::remove_cvref_t<A>>::Type;

}  // namespace internal
}  // namespace epore

#endif  // EPORE_RUNTIME_TASK_H_
