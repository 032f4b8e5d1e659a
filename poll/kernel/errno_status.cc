#include "epore/poll/kernel/errno_status.h"

#include <string.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace epore {

std::string errno_text(int error) {
  const char* name = ::strerrorname_np(error);
  const char* text = ::strerrordesc_np(error);
  if (name == nullptr) return absl::StrCat("errno ", error);
  return absl::StrCat(name, " (", text != nullptr ? text : "", ")");
}

absl::StatusCode errno_code(int error) {
  switch (error) {
    case EADDRINUSE:
      return absl::StatusCode::kAlreadyExists;
    case EADDRNOTAVAIL:
      return absl::StatusCode::kNotFound;
    case EPIPE:  // as ECONNRESET: whoever reads has gone
      return absl::StatusCode::kUnavailable;
    default:
      return absl::ErrnoToStatusCode(error);
  }
}

absl::Status errno_status(int error, std::string_view call) {
  absl::Status status(errno_code(error), absl::StrCat(call, ": ", errno_text(error)));
  status.SetPayload(kErrnoPayload, absl::Cord(absl::StrCat(error)));
  return status;
}

}  // namespace epore
