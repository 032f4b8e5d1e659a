#ifndef EPORE_POLL_KERNEL_WAIT_READY_H_
#define EPORE_POLL_KERNEL_WAIT_READY_H_

#include <span>

#include "epore/poll/kernel/kernel.h"
#include "epore/poll/kernel/sys_result.h"

struct pollfd;
struct timespec;

namespace epore {

// Waits for descriptors as ppoll(2) does. ppoll(2) takes no more descriptors than RLIMIT_NOFILE
// allows (EINVAL), and a program may lower that limit below what is open. If ppoll(2) fails,
// pselect(2) waits instead, which has no such limit. A null `timeout` waits for ever.
//
// Sets each `revents` and returns how many of them are not 0. pselect(2) reports a hang-up or an
// error as POLLIN and POLLOUT, where these were asked for. Errors: EINTR as with ppoll(2); those of
// pselect(2).
SysResult wait_ready(Kernel& kernel, std::span<pollfd> fds, const timespec* timeout);

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_WAIT_READY_H_
