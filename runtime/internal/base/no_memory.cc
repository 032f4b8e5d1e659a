#include "epore/runtime/internal/base/no_memory.h"

#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace epore::internal {

absl::Status no_memory(std::string_view call) {
  try {
    return absl::ResourceExhaustedError(absl::StrCat(call, ": no memory"));
  } catch (const std::bad_alloc&) {
    return absl::Status(absl::StatusCode::kResourceExhausted, "");  // allocates nothing
  }
}

absl::Status make_error(absl::StatusCode code, std::string_view text) noexcept {
  try {
    return absl::Status(code, text);
  } catch (const std::bad_alloc&) {
    return absl::Status(code, "");  // allocates nothing
  }
}

}  // namespace epore::internal
