#ifndef EPORE_RUNTIME_INTERNAL_TASK_AWAITABLE_H_
#define EPORE_RUNTIME_INTERNAL_TASK_AWAITABLE_H_

#include <concepts>
#include <coroutine>
#include <source_location>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/internal/task/operation.h"
#include "epore/runtime/internal/task/task_node.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore::internal {

// An Awaitable is what a coroutine can wait for. All of them have the same four steps, so that they
// can be put into each other: within(limit, peer.read()), any(channel.receive(),
// sleep_for(second)).
//
//   begin(node)  starts it in the scope of `node`. True: it has completed, with node.status, which
//                is ok before. False: it completes `node` later. `node` is a coroutine, or the
//                chain of a join. Under a stop (find_stop()) nothing begins: it completes with
//                that.
//   finish(node) is called once, in the order, when it has completed, and before take(). It is not
//                called if the coroutine ends with the error; then only the destructor is.
//   leave(node)  only if it has it: is called last, also if the coroutine ends with the error.
//   take()       returns the value, after a completion with ok. Effects are here: if the value is
//                not wanted any more, take() is not called, and nothing is lost.
//   Value        the type of the value, void included.
//
// begin() and finish() do not throw: what begin() has begun would be destroyed while it runs.
template <typename A>
concept Awaitable = requires(A a, TaskNode& node) {
  typename A::Value;
  { a.begin(node) } -> std::same_as<bool>;
  a.finish(node);
  { a.take() } -> std::same_as<typename A::Value>;
};

// What makes an Awaitable of the type Made where that stays: in the awaiter, or inside another one.
// A temporary lives in the frame to the end of the expression, so it had better be small.
template <typename C>
concept MakesAwaitable = requires {
  typename C::Made;
};

// Asks for the status as well: `co_await x.result()`.
template <typename A>
struct Result {
  A awaitable;
};

template <typename T>
inline constexpr bool kIsResult = false;
template <typename A>
inline constexpr bool kIsResult<Result<A>> = true;

template <typename T>
struct ResultTypeOf {
  using Type = absl::StatusOr<T>;
};
template <>
struct ResultTypeOf<void> {
  using Type = absl::Status;
};
template <typename T>
using ResultType = typename ResultTypeOf<T>::Type;

// The base of awaitables: what `co_await x` and `co_await x.result()` have in common.
template <typename Derived>
class WithResult {
 public:
  // Awaits the status instead of ending with an error: a StatusOr of the value, or a Status if
  // there is none.
  [[nodiscard]] Result<Derived> result() && { return {std::move(static_cast<Derived&>(*this))}; }
  [[nodiscard]] Result<Derived&> result() & { return {static_cast<Derived&>(*this)}; }
};

// Counts a completion without a suspension. False: `node`, which is complete, is resumed later, as
// others wait for their turn.
inline bool may_go_on(TaskNode& node) {
  if (!Trampoline::here().is_over_budget()) [[likely]]
    return true;
  Trampoline::let_others_run(node);
  return false;
}

// The awaiter of an Awaitable. A is a reference, or the type of one that is made for it.
template <typename A, bool kTakesErrors>
class [[nodiscard]] Awaiter {
 public:
  using Value = typename std::remove_reference_t<A>::Value;

  // `from`: the Awaitable, or what makes it.
  template <typename From>
  Awaiter(From&& from, TaskNode& node) : awaitable_(std::forward<From>(from)), node_(node) {}
  Awaiter(const Awaiter&) = delete;
  Awaiter& operator=(const Awaiter&) = delete;
  ~Awaiter() {
    if constexpr (requires { awaitable_.leave(node_); }) awaitable_.leave(node_);
  }

  bool await_ready() {
    node_.takes_errors = kTakesErrors;
    if (!awaitable_.begin(node_)) return false;
    if (!kTakesErrors && !node_.status.ok()) [[unlikely]] {
      node_.has_failed = true;
      return false;
    }
    return may_go_on(node_);
  }

  void await_suspend(std::coroutine_handle<>) noexcept {
    node_.wait_since(Trampoline::here().now());
    if (node_.has_failed) [[unlikely]]
      Trampoline::here().go_on_with(&node_);  // which ends this coroutine
  }

  auto await_resume() {
    awaitable_.finish(node_);
    if constexpr (kTakesErrors) {
      absl::Status status = std::exchange(node_.status, absl::OkStatus());
      if constexpr (std::is_void_v<Value>) {
        if (status.ok()) awaitable_.take();
        return status;
      } else {
        if (!status.ok()) return absl::StatusOr<Value>(std::move(status));
        return absl::StatusOr<Value>(awaitable_.take());
      }
    } else {
      return awaitable_.take();
    }
  }

 private:
  A awaitable_;
  TaskNode& node_;
};

// `co_await status`: goes on if it is ok, and otherwise ends the coroutine with it.
class [[nodiscard]] StatusAwaiter {
 public:
  StatusAwaiter(absl::Status status, TaskNode& node) : status_(std::move(status)), node_(node) {}

  bool await_ready() const { return status_.ok(); }
  void await_suspend(std::coroutine_handle<>) noexcept {
    node_.status = std::move(status_);
    node_.takes_errors = false;
    Trampoline::here().go_on_with(&node_);
  }
  void await_resume() const {}

 private:
  absl::Status status_;
  TaskNode& node_;
};

// `co_await status_or`: the value, or the end of the coroutine with its status.
template <typename T>
class [[nodiscard]] StatusOrAwaiter {
 public:
  StatusOrAwaiter(absl::StatusOr<T>&& value, TaskNode& node)
      : value_(std::move(value)), node_(node) {}

  bool await_ready() const { return value_.ok(); }
  void await_suspend(std::coroutine_handle<>) noexcept {
    node_.status = value_.status();
    node_.takes_errors = false;
    Trampoline::here().go_on_with(&node_);
  }
  T await_resume() { return *std::move(value_); }

 private:
  absl::StatusOr<T> value_;
  TaskNode& node_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_AWAITABLE_H_
