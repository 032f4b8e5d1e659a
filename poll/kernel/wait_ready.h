#ifndef EPORE_POLL_KERNEL_WAIT_READY_H_
#define EPORE_POLL_KERNEL_WAIT_READY_H_

#include <span>

#include "epore/poll/kernel/kernel.h"
#include "epore/poll/kernel/sys_result.h"

struct pollfd;
struct timespec;

namespace epore {

// Waits for descriptors as ppoll(2) does, with or without its leave. ppoll(2) takes no more
// descriptors than RLIMIT_NOFILE allows (EINVAL), and that limit may be lowered below what is open;
// then pselect(2) does the work, whose size the limit does not touch. A null timeout waits for
// ever.
//
// Sets `revents` and returns how many of them are not 0. On the second way a hang-up or an error
// shows as POLLIN and POLLOUT, where these were asked for. EINTR as ppoll(2).
SysResult wait_ready(Kernel& kernel, std::span<pollfd> fds, const timespec* timeout);

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_WAIT_READY_H_
