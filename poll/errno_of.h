#ifndef EPORE_POLL_ERRNO_OF_H_
#define EPORE_POLL_ERRNO_OF_H_

#include "absl/status/status.h"

namespace epore {

// Returns the errno of the system call that failed with `status`. Returns 0 if `status` is ok or
// not about a system call. It is for decisions that the canonical code is too coarse for:
//
//   if (epore::errno_of(listener.status()) == EADDRINUSE) return try_next_port();
//
// Threads: any. The status carries the errno in its payload "epore.errno".
int errno_of(const absl::Status& status);

}  // namespace epore

#endif  // EPORE_POLL_ERRNO_OF_H_
