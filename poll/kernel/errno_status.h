#ifndef EPORE_POLL_KERNEL_ERRNO_STATUS_H_
#define EPORE_POLL_KERNEL_ERRNO_STATUS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace epore {

// "EMFILE (Too many open files)".
std::string errno_text(int error);

// A status with the canonical code of `error` and the message "CALL: EMFILE (Too many open files)",
// where `call` says which call on what, as in "epoll_ctl(ADD, fd 7)".
absl::Status errno_status(int error, std::string_view call);

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_ERRNO_STATUS_H_
