#ifndef EPORE_POLL_SYS_HOT_CALLS_H_
#define EPORE_POLL_SYS_HOT_CALLS_H_

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

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

#ifdef EPORE_HOT_CALLS_THROUGH_LIBC

using ::epoll_wait;
using ::recv;
using ::send;

#else

inline long recv(int fd, void* buffer, std::size_t size, int flags) {
  return ::syscall(SYS_recvfrom, fd, buffer, size, flags, nullptr, nullptr);
}

inline long send(int fd, const void* bytes, std::size_t size, int flags) {
  return ::syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0);
}

// epoll_pwait, as newer architectures have no epoll_wait.
inline long epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  return ::syscall(SYS_epoll_pwait, epfd, events, capacity, timeout_ms, nullptr, 0);
}

#endif

}  // namespace epore::hot

#endif  // EPORE_POLL_SYS_HOT_CALLS_H_
