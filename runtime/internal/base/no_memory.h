#ifndef EPORE_RUNTIME_INTERNAL_BASE_NO_MEMORY_H_
#define EPORE_RUNTIME_INTERNAL_BASE_NO_MEMORY_H_

#include <new>
#include <string_view>

#include "absl/status/status.h"

namespace epore::internal {

// Returns ResourceExhausted with the text "CALL: no memory". Without memory for the text it is
// empty.
absl::Status no_memory(std::string_view call);

// Returns an error, without its text if there is no memory. For code that must not throw.
absl::Status make_error(absl::StatusCode code, std::string_view text) noexcept;

// Calls function(), which returns a Status or a StatusOr. A std::bad_alloc becomes the status of
// no_memory().
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
