#ifndef EPORE_RUNTIME_INTERNAL_TASK_PROMISE_H_
#define EPORE_RUNTIME_INTERNAL_TASK_PROMISE_H_

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/internal/base/caught_exception.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/task_node.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore {

template <typename T>
class Task;

namespace internal {

template <typename T>
class TaskCall;

// Stands for a promise where there was no memory for the frame. Nobody looks into it.
template <typename Promise>
Promise* no_frame() {
  return reinterpret_cast<Promise*>(alignof(Promise));
}

template <typename A>
concept OwnAwaitable = Awaitable<std::remove_reference_t<A>>;

// What the promises of all tasks have in common. Each begins with its CoroutineNode, and needs no
// other alignment: see there.
class TaskPromiseBase : public CoroutineNode {
 public:
  TaskPromiseBase() = default;
  TaskPromiseBase(const TaskPromiseBase&) = delete;
  TaskPromiseBase& operator=(const TaskPromiseBase&) = delete;

  // Frames come from a cache. Without memory there is no frame, and the Task says so. No exceptions
  // here: this is one function for files with and without -fno-exceptions.
  static void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return FrameCache::try_allocate(size);
  }
  static void* operator new(std::size_t size) noexcept {  // gcc 12 takes this one
    return operator new(size, std::nothrow);
  }
  static void operator delete(void* frame, std::size_t size) noexcept {
    FrameCache::free(frame, size);
  }

  std::suspend_always initial_suspend() noexcept { return {}; }

  // The frame frees itself, its parameters included, and then the loop goes on with what waits.
  std::suspend_never final_suspend() noexcept {
    up->status = std::move(status);
    Trampoline::here().go_on_with(up);
    return {};
  }

  void unhandled_exception() noexcept { status = caught_exception(); }

  // `co_await x`. The location is where the program says it.
  template <MakesAwaitable C>
  Awaiter<typename C::Made, false> await_transform(C&& call,
                                                   Place at = __builtin_source_location()) {
    where = location_of(at);
    return {std::move(call), *this};
  }
  template <MakesAwaitable C>
  Awaiter<typename C::Made, true> await_transform(Result<C>&& call,
                                                  Place at = __builtin_source_location()) {
    where = location_of(at);
    return {std::move(call.awaitable), *this};
  }
  // A temporary lives in the frame until the end of the expression, so it is not moved.
  template <OwnAwaitable A>
  Awaiter<std::remove_reference_t<A>&, false> await_transform(
      A&& awaitable, Place at = __builtin_source_location()) {
    where = location_of(at);
    return {awaitable, *this};
  }
  template <typename A>
  Awaiter<std::remove_reference_t<A>&, true> await_transform(
      Result<A>&& result, Place at = __builtin_source_location()) {
    where = location_of(at);
    return {result.awaitable, *this};
  }
  template <typename T>
  void await_transform(const Task<T>&) = delete;  // await a task once: co_await std::move(task)
  StatusAwaiter await_transform(absl::Status awaited) { return {std::move(awaited), *this}; }
  template <typename T>
  StatusOrAwaiter<T> await_transform(absl::StatusOr<T> value) {
    return {std::move(value), *this};
  }
};

template <typename T>
class TaskPromise final : public TaskPromiseBase {
 public:
  static Task<T> get_return_object_on_allocation_failure() noexcept { return Task<T>(); }
  Task<T> get_return_object() noexcept {
    static_assert(alignof(TaskPromise) == alignof(CoroutineNode), "see CoroutineNode");
    return Task<T>(this);
  }

  // `co_return value`, `co_return status`, `co_return status_or`.
  template <typename U>
  requires std::constructible_from<T, U&&> &&
      (!std::same_as<std::remove_cvref_t<U>, absl::Status> &&
       !std::same_as<std::remove_cvref_t<U>, absl::StatusOr<T>>)void return_value(U&& value) {
    value_->emplace(std::forward<U>(value));
  }
  void return_value(T&& value) { value_->emplace(std::move(value)); }
  void return_value(absl::Status error) {
    status = error.ok() ? absl::InternalError("a Task with a value ended with an ok status")
                        : std::move(error);
  }
  void return_value(absl::StatusOr<T> value) {
    if (value.ok()) {
      value_->emplace(*std::move(value));
    } else {
      status = std::move(value).status();
    }
  }

  void set_target(std::optional<T>* value) { value_ = value; }

 private:
  std::optional<T>* value_ = nullptr;  // where the value goes: in what awaits the task
};

template <>
class TaskPromise<void> final : public TaskPromiseBase {
 public:
  static Task<void> get_return_object_on_allocation_failure() noexcept;
  Task<void> get_return_object() noexcept;
  void return_void() {}
};

}  // namespace internal
}  // namespace epore

#endif  // EPORE_RUNTIME_INTERNAL_TASK_PROMISE_H_
