#ifndef EPORE_POLL_KERNEL_KERNEL_CALL_H_
#define EPORE_POLL_KERNEL_KERNEL_CALL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace epore {

// The kinds of calls of a Kernel, for counting.
enum class KernelCall : std::uint8_t {
  kSocket,
  kBind,
  kListen,
  kAccept,
  kConnect,
  kShutdown,
  kClose,
  kRecv,
  kSend,
  kSendmsg,
  kRecvmsg,
  kRecvmmsg,
  kSendmmsg,
  kGetsockopt,
  kSetsockopt,
  kGetsockname,
  kGetpeername,
  kFcntl,
  kFstat,
  kFchmod,
  kFlock,
  kRead,
  kWrite,
  kPread,
  kPipe,
  kSendfile,
  kSplice,
  kOpen,
  kLstat,
  kUnlink,
  kEventfd,
  kEpollCreate,
  kEpollCtl,
  kEpollWait,
  kPoll,
  kSelect,
  kIoUringSetup,
  kIoUringEnter,
  kIoUringRegister,
  kMmap,
  kMunmap,
  kClock,  // on most machines the vDSO answers, without a system call
  kPark,
  kUnpark,
  kProcessors,
  kThreadId,
  kSetScheduler,
  kRunDelay,
  kThreadUsage,
  kThreadState,
  kThreadCpu,
  kThreadStart,
  kThreadJoin,
  kThreadDetach,
  kResolve,
  kSigaction,
  kSocketpair,
  kSpawn,
  kWaitid,
  kPidfdSendSignal,
  kKill,
};

inline constexpr std::size_t kKernelCallKinds = static_cast<std::size_t>(KernelCall::kKill) + 1;

// The printed name of a kind: the name of the system call, where there is one.
constexpr std::string_view kernel_call_name(KernelCall call) {
  constexpr std::string_view kNames[] = {
      "socket",
      "bind",
      "listen",
      "accept4",
      "connect",
      "shutdown",
      "close",
      "recvfrom",
      "sendto",
      "sendmsg",
      "recvmsg",
      "recvmmsg",
      "sendmmsg",
      "getsockopt",
      "setsockopt",
      "getsockname",
      "getpeername",
      "fcntl",
      "fstat",
      "fchmod",
      "flock",
      "read",
      "write",
      "pread64",
      "pipe2",
      "sendfile",
      "splice",
      "open",
      "lstat",
      "unlink",
      "eventfd2",
      "epoll_create",
      "epoll_ctl",
      "epoll_wait",
      "poll",
      "select",
      "io_uring_setup",
      "io_uring_enter",
      "io_uring_register",
      "mmap",
      "munmap",
      "clock",
      "futex_wait",
      "futex_wake",
      "sched_getaffinity",
      "gettid",
      "sched_setscheduler",
      "schedstat",
      "getrusage",
      "thread_state",
      "thread_cpu",
      "thread_start",
      "thread_join",
      "thread_detach",
      "getaddrinfo",
      "sigaction",
      "socketpair",
      "spawn",
      "waitid",
      "pidfd_signal",
      "kill",
  };
  static_assert(std::size(kNames) == kKernelCallKinds);
  return kNames[static_cast<std::size_t>(call)];
}

// The number of calls of each kind, indexed by kind.
using KernelCallCounts = std::array<std::uint64_t, kKernelCallKinds>;

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_KERNEL_CALL_H_
