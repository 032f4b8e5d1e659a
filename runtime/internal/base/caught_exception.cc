#include "epore/runtime/internal/base/caught_exception.h"

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace epore::internal {
namespace {

absl::Status describe_exception() {
  try {
    throw;
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("a callback threw: ", error.what()));
  } catch (...) {
    return absl::InternalError("a callback threw something that is no std::exception");
  }
}

}  // namespace

absl::Status caught_exception() {
  try {
    return describe_exception();
  } catch (const std::bad_alloc&) {
    return absl::Status(absl::StatusCode::kInternal, "");  // allocates nothing
  }
}

}  // namespace epore::internal
