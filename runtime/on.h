#ifndef EPORE_RUNTIME_ON_H_
#define EPORE_RUNTIME_ON_H_

#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/bound_task.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/order.h"
#include "epore/runtime/task.h"

namespace epore {
namespace internal {

class RemoteRoot;

// Waits for the end of a task in another order.
class RemoteCall : public Operation {
 public:
  bool begin(TaskNode& node);
  void finish(TaskNode&) {}

 protected:
  explicit RemoteCall(const Order& order);
  RemoteCall(RemoteCall&&) noexcept;  // before it begins
  ~RemoteCall();

 private:
  friend class RemoteRoot;

  // In the other order: makes the task.
  virtual Task<> call() = 0;

  void cancel(const absl::Status& why) override;
  const char* name() const override { return "on"; }

  Order order_;
  Ref<RemoteRoot> root_;
};

template <typename Bound, typename T>
class OnOperation final : public RemoteCall, public WithResult<OnOperation<Bound, T>> {
 public:
  using Value = T;

  template <typename... As>
  explicit OnOperation(const Order& order, As&&... arguments)
      : RemoteCall(order), bound_(std::forward<As>(arguments)...) {}
  OnOperation(OnOperation&&) = default;

  T take() {
    if constexpr (!std::is_void_v<T>) return *std::move(value_);
  }

 private:
  Task<> call() override {
    if constexpr (std::is_void_v<T>) {
      return bound_();
    } else {
      return keep_value();
    }
  }
  Task<> keep_value() { value_.emplace(co_await bound_()); }

  Bound bound_;

  // Written in the other order before it completes, and then of this one.
  std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value_;
};

}  // namespace internal

// Runs function(arguments...), which makes a Task<T>, in `order`, and gives its value: for state
// that only that order touches. The awaiting coroutine stays where it is, and goes on there.
//
//   const int count = co_await epore::on(cache_order, &Cache::count, std::ref(cache));
//
// A stop or a deadline from outside is passed on: it stops the task in the other order, soon, and
// on() waits for its end. The function, and copies of the arguments (references by std::ref), live
// in the awaiting coroutine until then.
//
// `order` may be that of another runtime, and may be the caller's own. Errors: those of the task;
// FailedPrecondition if `order` names none, or its runtime is shut down; ResourceExhausted without
// memory.
//
// gcc 12 destroys a temporary lambda with captures twice in an awaiting expression if it has a
// destructor: capture by reference, pass arguments, or give the lambda a name.
template <typename F, typename... Args>
[[nodiscard]] auto on(const Order& order, F&& function, Args&&... arguments) {
  static_assert(internal::kMayBeAwaited<F>,
                "gcc destroys the captures of this temporary lambda twice; give it a name, "
                "and await on(order, name)");
  static_assert(internal::MakesTaskOf<F, Args...>,
                "on() takes a function that returns an epore::Task, and arguments for it");
  using T = typename internal::TaskOf<F, Args...>::ValueType;
  return internal::OnOperation<internal::BoundTaskOf<F, Args...>, T>(
      order, std::forward<F>(function), std::forward<Args>(arguments)...);
}

}  // namespace epore

#endif  // EPORE_RUNTIME_ON_H_
