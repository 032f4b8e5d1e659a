#include "epore/poll/kernel/spawn_process.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

// The child runs in the memory of this process. What a sanitizer notes there would stay in the
// parent. For the same reason all calls below go past libc, whose functions sanitizers replace.
#define EPORE_PLAIN_CODE __attribute__((no_sanitize("address", "thread", "undefined")))

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

// glibc's clone(2) by its other name. ThreadSanitizer replaces clone(), takes it for a fork(2), and
// notes in the shared memory that this process is the child.
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);

namespace epore {
namespace {

constexpr int kSignals = 64;
constexpr std::size_t kStackSize = std::size_t{64} * 1024;

// As the kernel has them: a bit for each signal, and its struct sigaction, which begins with the
// handler. SIG_DFL and no flags are all zeros.
using SignalMask = std::uint64_t;
constexpr std::size_t kMaskSize = sizeof(SignalMask);
struct KernelAction {
  std::uintptr_t words[4];
};

struct Child {
  ProcessStart& start;
  int error = 0;  // written by the child
};

EPORE_PLAIN_CODE long call(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
  return ::syscall(number, a, b, c, d);
}

EPORE_PLAIN_CODE long word(const void* pointer) {
  return static_cast<long>(reinterpret_cast<std::intptr_t>(pointer));
}

EPORE_PLAIN_CODE bool take_streams(const ProcessStart& start) {
  for (int i = 0; i < 3; ++i) {
    const int fd = start.streams[static_cast<std::size_t>(i)];
    // The sources are above 2, so that no stream overwrites the source of a later one.
    if (fd >= 0 && call(SYS_dup3, fd, i, 0) < 0) return false;
  }
  return true;
}

// Each file that is not there, or that may not be executed, is skipped. The error is that of the
// last one, but that one may not be executed says more than that another is not there.
EPORE_PLAIN_CODE void execute(const ProcessStart& start) {
  bool is_denied = false;
  for (const char* const* file = start.files; *file != nullptr; ++file) {
    call(SYS_execve, word(*file), word(start.arguments), word(start.environment));
    if (errno == EACCES) {
      is_denied = true;
    } else if (errno != ENOENT && errno != ENOTDIR) {
      return;
    }
  }
  if (is_denied) errno = EACCES;
}

EPORE_PLAIN_CODE void run_steps(ProcessStart& start) {
  const KernelAction default_action = {};
  for (int signal = 1; signal <= kSignals; ++signal) {  // SIGKILL and SIGSTOP refuse it
    call(SYS_rt_sigaction, signal, word(&default_action), 0, kMaskSize);
  }
  start.failed = ProcessStep::group;
  if (start.leads_group && call(SYS_setpgid) < 0) return;
  start.failed = ProcessStep::folder;
  if (start.folder != nullptr && call(SYS_chdir, word(start.folder)) < 0) return;
  start.failed = ProcessStep::streams;
  if (!take_streams(start)) return;
  start.failed = ProcessStep::descriptors;
  if (call(SYS_close_range, STDERR_FILENO + 1, static_cast<long>(~0u)) < 0) return;
  const SignalMask none = 0;
  call(SYS_rt_sigprocmask, SIG_SETMASK, word(&none), 0, kMaskSize);
  start.failed = ProcessStep::exec;
  execute(start);
}

EPORE_PLAIN_CODE int child_main(void* argument) {
  Child& child = *static_cast<Child*>(argument);
  run_steps(child.start);
  child.error = errno;
  call(SYS_exit_group, 127);
  return 0;
}

// Reaps a child that has not become another program: it is about to end.
void reap(int pidfd) {
  siginfo_t info;
  while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED) < 0 &&
         errno == EINTR) {
  }
}

}  // namespace

SysResult spawn_process(ProcessStart& start, int* pidfd) {
  const std::unique_ptr<std::byte[]> stack(new (std::nothrow) std::byte[kStackSize]);
  if (stack == nullptr) return SysResult::from_errno(ENOMEM);
  Child child{.start = start};
  start.failed = ProcessStep::clone;
  *pidfd = -1;
  const SignalMask all = ~SignalMask{0};
  SignalMask before = 0;
  call(SYS_rt_sigprocmask, SIG_SETMASK, word(&all), word(&before), kMaskSize);
  // Stacks grow downwards, and begin at a multiple of 16.
  auto top = reinterpret_cast<std::uintptr_t>(stack.get() + kStackSize) & ~std::uintptr_t{15};
  const int pid = ::__clone(child_main, reinterpret_cast<void*>(top),
                            CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &child, pidfd);
  const int error = pid < 0 ? errno : child.error;
  call(SYS_rt_sigprocmask, SIG_SETMASK, word(&before), 0, kMaskSize);
  if (pid >= 0 && error == 0) return SysResult(pid);
  if (pid >= 0) {
    reap(*pidfd);
    ::close(*pidfd);
    *pidfd = -1;
  }
  return SysResult::from_errno(error);
}

}  // namespace epore
