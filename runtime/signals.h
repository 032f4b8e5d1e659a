#ifndef EPORE_RUNTIME_SIGNALS_H_
#define EPORE_RUNTIME_SIGNALS_H_

namespace epore {

// Unblocks all signals of the calling thread, in a child process before exec(3).
//
// The threads of a runtime block signals. A child that a callback starts inherits that, through
// exec(3) as well, and SIGTERM would not end it. The child calls this function between fork(2) and
// exec(3); it is async-signal-safe:
//
//   if (pid_t child = fork(); child == 0) {
//     epore::unblock_signals();
//     execv(path, arguments);
//     _exit(127);
//   }
//
// With posix_spawn(3), set POSIX_SPAWN_SETSIGMASK and an empty mask instead. Call system(3) and
// popen(3) on a thread of the program, and not in a callback.
void unblock_signals();

}  // namespace epore

#endif  // EPORE_RUNTIME_SIGNALS_H_
