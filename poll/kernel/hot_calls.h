#ifndef EPORE_POLL_KERNEL_HOT_CALLS_H_
#define EPORE_POLL_KERNEL_HOT_CALLS_H_

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "epore/poll/kernel/sys_result.h"

// The calls of every message, without libc's thread cancellation: in a program with threads its
// wrappers of these turn cancellation on and off around each call, four locked instructions for an
// echo (pthreads(7), "Cancellation points"; no thread of epore is ever cancelled). Sanitizers need
// the wrappers, which they replace to see what the kernel writes and what it orders.

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer) || \
    __has_feature(memory_sanitizer)
#define EPORE_HOT_CALLS_THROUGH_LIBC 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define EPORE_HOT_CALLS_THROUGH_LIBC 1
#endif

namespace epore::hot {

inline SysResult from_libc(long returned) {
  return returned >= 0 ? SysResult(returned) : SysResult::from_errno(errno);
}

#ifdef EPORE_HOT_CALLS_THROUGH_LIBC

inline SysResult recv(int fd, void* buffer, std::size_t size, int flags) {
  return from_libc(::recv(fd, buffer, size, flags));
}
inline SysResult send(int fd, const void* bytes, std::size_t size, int flags) {
  return from_libc(::send(fd, bytes, size, flags));
}
inline SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  return from_libc(::epoll_wait(epfd, events, capacity, timeout_ms));
}

#else

#ifdef __x86_64__

// The kernel's convention is SysResult's: a value, or -errno. Arguments as in syscall(2),
// "Architecture calling conventions".
inline SysResult call(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long returned;
  asm volatile("syscall"
               : "=a"(returned)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return SysResult(returned);
}

#else

inline SysResult call(long number, long a, long b, long c, long d, long e, long f) {
  return from_libc(::syscall(number, a, b, c, d, e, f));
}

#endif

inline long word(const void* pointer) { return reinterpret_cast<long>(pointer); }

inline SysResult recv(int fd, void* buffer, std::size_t size, int flags) {
  return call(SYS_recvfrom, fd, word(buffer), static_cast<long>(size), flags, 0, 0);
}

inline SysResult send(int fd, const void* bytes, std::size_t size, int flags) {
  return call(SYS_sendto, fd, word(bytes), static_cast<long>(size), flags, 0, 0);
}

// epoll_pwait, as newer architectures have no epoll_wait.
inline SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  return call(SYS_epoll_pwait, epfd, word(events), capacity, timeout_ms, 0, 0);
}

#endif

}  // namespace epore::hot

#endif  // EPORE_POLL_KERNEL_HOT_CALLS_H_
