#ifndef EPORE_RUNTIME_BOUND_TASK_H_
#define EPORE_RUNTIME_BOUND_TASK_H_

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/task.h"

// What spawn(), listen() and Group::spawn() make of a callable: it lives as long as the task.
namespace epore::internal {

template <typename F, typename... Args>
using TaskOf = std::remove_cvref_t<std::invoke_result_t<std::decay_t<F>&, std::decay_t<Args>...>>;

// A callable that makes a Task<> of its arguments.
template <typename F, typename... Args>
concept TaskFunction = std::invocable < std::decay_t<F>
&, std::decay_t<Args>... > &&std::is_same_v<TaskOf<F, Args...>, Task<>>;

// A callable that makes a Task of any type of its arguments.
template <typename F, typename... Args>
concept MakesTaskOf = MakesTask<F, std::decay_t<Args>...>;

// Whether a task that is begun later may get this argument: no view, and no pointer to characters,
// which the task would copy without what they show. A literal, a const array, is there for ever.
template <typename T>
inline constexpr bool kLasts = !kIsView<std::decay_t<T>>;
template <std::size_t N>
inline constexpr bool kLasts<const char (&)[N]> = true;

// Whether a callable of type F&& may be handed to what is awaited in the same expression. gcc 12
// destroys a temporary lambda there twice, so it must not have a destructor that does anything.
#if defined(__GNUC__) && !defined(__clang__)
template <typename F>
inline constexpr bool kMayBeAwaited =
    std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<F>;
#else
template <typename F>
inline constexpr bool kMayBeAwaited = true;
#endif

// A callable with its arguments.
template <typename Function, typename... Arguments>
class BoundTask {
 public:
  template <typename F, typename... As>
  explicit BoundTask(F&& function, As&&... arguments)
      : function_(std::forward<F>(function)), arguments_(std::forward<As>(arguments)...) {}

  auto operator()() {
    return std::apply(
        [this](Arguments&... arguments) { return std::invoke(function_, std::move(arguments)...); },
        arguments_);
  }

 private:
  Function function_;
  std::tuple<Arguments...> arguments_;
};

template <typename F, typename... Args>
using BoundTaskOf = BoundTask<std::decay_t<F>, std::decay_t<Args>...>;

// A BoundTask of any type.
class TaskStart : public InFrameCache {
 public:
  virtual ~TaskStart() = default;
  virtual Task<> call() = 0;
};

template <typename Bound>
class TaskStartOf final : public TaskStart {
 public:
  template <typename... As>
  explicit TaskStartOf(As&&... arguments) : bound_(std::forward<As>(arguments)...) {}

  Task<> call() override { return bound_(); }

 private:
  Bound bound_;
};

template <typename F, typename... Args>
std::unique_ptr<TaskStart> make_task_start(F&& function, Args&&... arguments) {
  return std::make_unique<TaskStartOf<BoundTaskOf<F, Args...>>>(std::forward<F>(function),
                                                                std::forward<Args>(arguments)...);
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_BOUND_TASK_H_
