#include "epore/runtime/internal/base/caught_exception.h"

#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace epore::internal {

absl::Status caught_exception() {
  try {
    throw;
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("a callback threw: ", error.what()));
  } catch (...) {
    return absl::InternalError("a callback threw something that is no std::exception");
  }
}

}  // namespace epore::internal
