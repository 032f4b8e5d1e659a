#ifndef EPORE_POLL_KERNEL_ERRNO_STATUS_H_
#define EPORE_POLL_KERNEL_ERRNO_STATUS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace epore {

// Returns a text such as "EMFILE (Too many open files)".
std::string errno_text(int error);

// The payload that errno_of() reads: the number in decimal digits.
inline constexpr std::string_view kErrnoPayload = "epore.errno";

// Returns the canonical code of `error`: that of absl::ErrnoToStatusCode(), with two exceptions.
// EADDRINUSE is AlreadyExists and EADDRNOTAVAIL is NotFound, so that no caller takes them for a
// call in the wrong state.
absl::StatusCode errno_code(int error);

// Returns a status with the canonical code of `error`, with the number as its payload, and a
// message such as "epoll_ctl(ADD, fd 7): EMFILE (Too many open files)". `call` is the part before
// the colon: the call and its subject.
absl::Status errno_status(int error, std::string_view call);

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_ERRNO_STATUS_H_
