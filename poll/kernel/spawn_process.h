#ifndef EPORE_POLL_KERNEL_SPAWN_PROCESS_H_
#define EPORE_POLL_KERNEL_SPAWN_PROCESS_H_

#include "epore/poll/kernel/process_start.h"
#include "epore/poll/kernel/sys_result.h"

namespace epore {

// Implements Kernel::spawn(). Needs Linux 5.9 (ENOSYS).
//
// It is vfork(2) with a stack of the child's own: the child shares this process's memory, and the
// calling thread waits until exec(3). So nothing is copied, however large this process is, and the
// errno of each step is in memory. posix_spawn(3) does the same inside, but gives no descriptor
// before glibc 2.39. A pidfd_open(2) behind it can fail when the program runs already, and the id
// may be another process's by then. CLONE_PIDFD makes both at once, or neither.
//
// The child:
//
// 1. has all signals blocked, as a handler of this process would run in the shared memory;
// 2. resets all dispositions, those that are ignored included, and unblocks all signals;
// 3. enters the group and the folder, takes its streams, and closes all other descriptors;
// 4. executes the program.
SysResult spawn_process(ProcessStart& start, int* pidfd);

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_SPAWN_PROCESS_H_
