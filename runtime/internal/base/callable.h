#ifndef EPORE_RUNTIME_INTERNAL_BASE_CALLABLE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_CALLABLE_H_

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

namespace epore::internal {

template <typename T>
inline constexpr bool kIsStdFunction = false;
template <typename Signature>
inline constexpr bool kIsStdFunction<std::function<Signature>> = true;

// The parameter of a call that takes a callback. `Function` is an absl::AnyInvocable. A Callable
// takes what a Function takes, but an empty std::function makes it null. A Function would wrap it,
// would not be null, and would throw std::bad_function_call in each of its calls.
template <typename Function>
class Callable {
 public:
  Callable() = default;

  template <typename F>
  requires(!std::same_as<std::remove_cvref_t<F>, Callable> && std::is_constructible_v<Function, F>)
      // NOLINTNEXTLINE(google-explicit-constructor): as that of a Function
      Callable(F&& function)
      : function_(is_empty(function) ? Function() : Function(std::forward<F>(function))) {}

  explicit operator bool() const { return static_cast<bool>(function_); }

  Function&& take() && { return std::move(function_); }

 private:
  template <typename F>
  static bool is_empty([[maybe_unused]] const F& function) {
    if constexpr (kIsStdFunction<F>) {
      return !function;
    } else {
      return false;  // a Function sees itself that a pointer or an AnyInvocable is null
    }
  }

  Function function_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_CALLABLE_H_
