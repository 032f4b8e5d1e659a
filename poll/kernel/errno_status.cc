#include "epore/poll/kernel/errno_status.h"

#include <string.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace epore {

std::string errno_text(int error) {
  const char* name = ::strerrorname_np(error);
  const char* text = ::strerrordesc_np(error);
  if (name == nullptr) return absl::StrCat("errno ", error);
  return absl::StrCat(name, " (", text != nullptr ? text : "", ")");
}

absl::Status errno_status(int error, std::string_view call) {
  return absl::Status(absl::ErrnoToStatusCode(error), absl::StrCat(call, ": ", errno_text(error)));
}

}  // namespace epore
