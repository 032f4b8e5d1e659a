#ifndef EPORE_RUNTIME_INTERNAL_BASE_EXCEPTIONS_H_
#define EPORE_RUNTIME_INTERNAL_BASE_EXCEPTIONS_H_

// For public headers, as a program may be compiled with -fno-exceptions, which allows neither `try`
// nor `throw`. There an exception, of an allocation that fails as well, is not handled.

namespace epore::internal {

#ifdef __cpp_exceptions

// Calls `function`. If it throws, calls `handler` in the catch block, and returns what that does.
template <typename Function, typename Handler>
auto call_or(Function&& function, Handler&& handler) {
  try {
    return function();
  } catch (...) {
    return handler();
  }
}

// Calls `function`. If it throws, calls `undo`, and throws the same.
template <typename Function, typename Undo>
void call_or_undo(Function&& function, Undo&& undo) {
  try {
    function();
  } catch (...) {
    undo();
    throw;
  }
}

#else

template <typename Function, typename Handler>
auto call_or(Function&& function, Handler&&) {
  return function();
}

template <typename Function, typename Undo>
void call_or_undo(Function&& function, Undo&&) {
  function();
}

#endif

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_EXCEPTIONS_H_
