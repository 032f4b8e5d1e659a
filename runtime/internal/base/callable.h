#ifndef EPORE_RUNTIME_INTERNAL_BASE_CALLABLE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_CALLABLE_H_

#include <concepts>
#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace epore {

template <typename T>
class Task;

namespace internal {

template <typename T>
inline constexpr bool kIsTask = false;
template <typename T>
inline constexpr bool kIsTask<Task<T>> = true;

// What calls a coroutine, or is one: it makes a Task of any type. As a callback it would compile,
// and its tasks would be dropped before they begin.
template <typename F, typename... Args>
concept MakesTask = kIsTask < std::remove_cvref_t < std::invoke_result_t < std::decay_t<F>
&, Args... >>> ;

// The same of a callback of the type `Function`, an absl::AnyInvocable or a std::function.
template <typename F, typename Function>
inline constexpr bool kIsCoroutineFor = false;
template <typename F, template <typename> typename Function, typename... Args>
inline constexpr bool kIsCoroutineFor<F, Function<void(Args...)>> = MakesTask<F, Args...>;
template <typename F, typename Function>
concept CoroutineFor = kIsCoroutineFor<F, Function>;

// A view of bytes or text that belong to somebody else.
template <typename T>
inline constexpr bool kIsView =
    std::derived_from<T, std::span<const std::byte>> || std::same_as<T, std::span<std::byte>> ||
    std::same_as<T, std::span<const char>> || std::same_as<T, std::string_view> ||
    std::same_as<T, const char*> || std::same_as<T, char*>;

// The type of the only parameter of a function or a lambda. Templates, overloads and what
// std::bind_front() makes have none that can be seen.
template <typename R, typename A>
std::type_identity<A> parameter_of(R (*)(A));
template <typename R, typename C, typename A>
std::type_identity<A> parameter_of(R (C::*)(A));
template <typename R, typename C, typename A>
std::type_identity<A> parameter_of(R (C::*)(A) const);
template <typename F>
concept ShowsFunction = requires(F function) {
  parameter_of(function);
};
template <typename F>
concept ShowsParameter = ShowsFunction<F> || requires {
  parameter_of(&F::operator());
};
template <ShowsParameter F>
consteval bool takes_reference() {
  if constexpr (ShowsFunction<F>) {
    return std::is_reference_v<typename decltype(parameter_of(std::declval<F>()))::type>;
  } else {
    return std::is_reference_v<typename decltype(parameter_of(&F::operator()))::type>;
  }
}

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

  template <CoroutineFor<Function> F>
  // NOLINTNEXTLINE(google-explicit-constructor): as the one below
  Callable(F&&) = delete;  // a callback is no coroutine: call Runtime::spawn() in it

  template <typename F>
  requires(!std::same_as<std::remove_cvref_t<F>, Callable> &&
           std::is_constructible_v<Function, F> && !CoroutineFor<F, Function>)
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

// A std::function of options, which can be copied: the same without coroutines.
template <typename Signature>
class Hook : public std::function<Signature> {
  using Function = std::function<Signature>;

 public:
  Hook() = default;

  template <CoroutineFor<Function> F>
  // NOLINTNEXTLINE(google-explicit-constructor): as the one below
  Hook(F&&) = delete;  // a callback is no coroutine: call Runtime::spawn() in it

  template <typename F>
  requires(!std::same_as<std::remove_cvref_t<F>, Hook> && std::is_constructible_v<Function, F> &&
           !CoroutineFor<F, Function>)
      // NOLINTNEXTLINE(google-explicit-constructor): as that of a Function
      Hook(F&& function)
      : Function(std::forward<F>(function)) {}

  // It is called as the std::function that it is. Were it callable, a std::function that is made of
  // an empty one would wrap it, and would not be empty.
  void operator()(auto&&...) const = delete;
};

}  // namespace internal
}  // namespace epore

#endif  // EPORE_RUNTIME_INTERNAL_BASE_CALLABLE_H_
