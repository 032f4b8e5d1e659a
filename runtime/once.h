#ifndef EPORE_RUNTIME_ONCE_H_
#define EPORE_RUNTIME_ONCE_H_

#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/once_core.h"
#include "epore/runtime/task.h"

namespace epore {

// A Once is a value that a coroutine computes when it is asked for first, and that many tasks
// await: a configuration, a connection pool.
//
//   epore::Once<Config> config(load_config);  // epore::Task<Config> load_config();
//   ...
//   const Config* const now = co_await config.get();  // in any number of tasks
//
// The first task that calls get() computes the value, as if it awaited the function itself, with
// its own deadline and in its own order. The others wait.
//
// - If the function ends with an error, all who wait get that error, and the next get() begins
//   anew. So a value is kept, and an error is not.
// - If the task that computes is stopped, or its deadline passes, the next one in line computes.
//
// Threads: tasks of any orders may call get(), and any thread peek().
//
// Lifetime: it must outlive the tasks that await it. Values are valid as long as it lives.
template <typename T>
class Once : private internal::OnceCore {
 public:
  using Function = absl::AnyInvocable<Task<T>()>;

  explicit Once(internal::Callable<Function> function) : function_(std::move(function).take()) {}

  // Waits for the value, which is never null. Errors: that of the function, and InvalidArgument if
  // it is null; those of a stop.
  [[nodiscard]] Task<const T*> get() {
    if (!function_) co_await absl::InvalidArgumentError("Once::get: the function is null");
    internal::OnceTurn turn = co_await internal::OnceTurnWait(*this);
    if (turn.is_mine()) {
      absl::StatusOr<T> value = co_await function_().result();
      if (!value.ok()) co_await internal::OnceFailure(turn, value.status());
      value_.emplace(*std::move(value));
      turn.set_full();
    }
    co_return &*value_;
  }

  // The value if it is there, or null. It waits for nothing.
  const T* peek() const { return has_value() ? &*value_ : nullptr; }

 private:
  Function function_;

  // Written by the task whose turn it is; read by others when has_value().
  std::optional<T> value_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_ONCE_H_
