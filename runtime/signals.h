#ifndef EPORE_RUNTIME_SIGNALS_H_
#define EPORE_RUNTIME_SIGNALS_H_

namespace epore {

// For children of a program: unblocks all signals of the calling thread.
//
// The threads of a runtime block signals, and a child that one of its callbacks starts inherits
// that, through exec as well: SIGTERM would not end it. So the child calls this between fork(2) and
// exec(3), as it is async-signal-safe:
//
//   if (pid_t child = fork(); child == 0) {
//     epore::unblock_signals();
//     execv(path, arguments);
//     _exit(127);
//   }
//
// With posix_spawn(3), set POSIX_SPAWN_SETSIGMASK and an empty mask. system(3) and popen(3) belong
// on a thread of the program's own, not in a callback.
void unblock_signals();

}  // namespace epore

#endif  // EPORE_RUNTIME_SIGNALS_H_
