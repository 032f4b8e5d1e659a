#ifndef EPORE_RUNTIME_INTERNAL_BASE_NO_MEMORY_H_
#define EPORE_RUNTIME_INTERNAL_BASE_NO_MEMORY_H_

#include <new>
#include <string_view>

#include "absl/status/status.h"

namespace epore::internal {

// ResourceExhausted: "CALL: no memory", or without a text if there is no memory for that either.
absl::Status no_memory(std::string_view call);

// Calls function(), which returns a Status or a StatusOr. What it throws for want of memory becomes
// that status.
template <typename Function>
auto or_no_memory(std::string_view call, Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return no_memory(call);
  }
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_NO_MEMORY_H_
