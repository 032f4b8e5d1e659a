#ifndef EPORE_RUNTIME_INTERNAL_GUARDED_CALL_H_
#define EPORE_RUNTIME_INTERNAL_GUARDED_CALL_H_

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace epore::internal {

// Calls user code. An exception ends here and becomes an Internal status with its text.
template <typename Function, typename... Arguments>
absl::Status guarded_call(Function& function, Arguments&&... arguments) {
  try {
    function(std::forward<Arguments>(arguments)...);
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("a callback threw: ", error.what()));
  } catch (...) {
    return absl::InternalError("a callback threw something that is no std::exception");
  }
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_GUARDED_CALL_H_
