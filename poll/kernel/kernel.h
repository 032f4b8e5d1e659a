#ifndef EPORE_POLL_KERNEL_KERNEL_H_
#define EPORE_POLL_KERNEL_KERNEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "epore/poll/kernel/kernel_call.h"
#include "epore/poll/kernel/sys_result.h"

struct addrinfo;
struct epoll_event;
struct msghdr;
struct pollfd;
struct sigaction;
struct sockaddr;
struct stat;
struct timespec;

namespace epore {

// The one seam between epore and the operating system: every system call and every blocking wait of
// the library is a method here. It exists to be replaced: counted, made to fail at the k-th call,
// or simulated with a virtual clock.
//
// A method does what the system call of its name does (see its manual page), once: no retry, no
// policy. Sockets and descriptors are made close-on-exec and, where they are made by epore,
// non-blocking, by the flags that the caller passes. Sending never raises SIGPIPE.
//
// The rule that makes simulation possible: no call of this class while a lock is held. (A thread is
// then only ever switched at such a call.)
//
// Threads: any, concurrently; but not in signal handlers, as counting may allocate and lock.
// Lifetime: outlives whatever uses it.
class Kernel {
 public:
  virtual ~Kernel() = default;

  // The operating system itself; one for the process, never destroyed.
  static Kernel& real();

  // Sockets.
  virtual SysResult socket(int domain, int type, int protocol) = 0;
  virtual SysResult bind(int fd, const sockaddr* address, unsigned size) = 0;
  virtual SysResult listen(int fd, int backlog) = 0;
  virtual SysResult accept(int fd, sockaddr* peer, unsigned* size, int flags) = 0;
  virtual SysResult connect(int fd, const sockaddr* address, unsigned size) = 0;
  virtual SysResult shutdown(int fd, int how) = 0;
  virtual SysResult recv(int fd, void* buffer, std::size_t size, int flags) = 0;
  virtual SysResult send(int fd, const void* bytes, std::size_t size, int flags) = 0;
  virtual SysResult sendmsg(int fd, const msghdr* message, int flags) = 0;
  virtual SysResult getsockopt(int fd, int level, int name, void* value, unsigned* size) = 0;
  virtual SysResult setsockopt(int fd, int level, int name, const void* value, unsigned size) = 0;
  virtual SysResult getsockname(int fd, sockaddr* address, unsigned* size) = 0;
  virtual SysResult getpeername(int fd, sockaddr* address, unsigned* size) = 0;

  // Descriptors.
  virtual SysResult close(int fd) = 0;  // never to be repeated, whatever it returns
  virtual SysResult fcntl(int fd, int command, int argument) = 0;
  virtual SysResult fstat(int fd, struct stat* status) = 0;
  virtual SysResult read(int fd, void* buffer, std::size_t size) = 0;
  virtual SysResult write(int fd, const void* bytes, std::size_t size) = 0;

  // Event queues. A null timeout waits for ever.
  virtual SysResult eventfd(unsigned value, int flags) = 0;
  virtual SysResult epoll_create(int flags) = 0;
  virtual SysResult epoll_ctl(int epfd, int operation, int fd, epoll_event* event) = 0;
  virtual SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) = 0;
  virtual SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                 const timespec* timeout) = 0;
  virtual SysResult ppoll(pollfd* fds, std::size_t count, const timespec* timeout) = 0;

  // CLOCK_MONOTONIC, in nanoseconds. Never goes back.
  virtual std::int64_t now() = 0;

  // Blocks while `word` holds `expected`, for at most `timeout_ns` (negative: for ever); may return
  // at any time. See futex(2), FUTEX_WAIT.
  virtual SysResult park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                         std::int64_t timeout_ns) = 0;
  // Ends up to `count` parks on `word`.
  virtual SysResult unpark(const std::atomic<std::uint32_t>& word, int count) = 0;

  // How many processors this thread may use, at least one; see sched_getaffinity(2).
  virtual int processors() = 0;

  // This thread, for the next one; see gettid(2).
  virtual int thread_id() = 0;

  // From now on this thread takes no processor from another one when it wakes; it waits until that
  // one sleeps, or its slice is over. See sched(7), SCHED_BATCH. Nothing happens if it has another
  // than the default policy.
  virtual SysResult set_batch_scheduling() = 0;

  // How long a thread of this process has waited for a processor while it could have run, all in
  // all. ENOENT where the system does not tell. The second number of /proc/PID/task/TID/schedstat,
  // see the kernel's Documentation/scheduler/sched-stats.
  virtual SysResult run_delay(int thread, std::int64_t* nanoseconds) = 0;

  // Starts a thread named `name` (cut to 15 characters) that runs `body` with the signals of the
  // program blocked, and stores its id, which is to be joined or detached exactly once.
  virtual SysResult start_thread(const char* name, std::function<void()> body,
                                 std::uint64_t* id) = 0;
  virtual SysResult join_thread(std::uint64_t id) = 0;
  virtual SysResult detach_thread(std::uint64_t id) = 0;

  // getaddrinfo(3), blocking: returns 0 or an EAI_ code. A list is given back to free_addresses.
  virtual int resolve(const char* host, const char* service, const addrinfo* hints,
                      addrinfo** list) = 0;
  virtual void free_addresses(addrinfo* list) = 0;

  virtual SysResult sigaction(int signal, const struct sigaction* action,
                              struct sigaction* old) = 0;

  // How often each kind was called so far. A replacement that wraps another kernel passes it on.
  virtual KernelCallCounts counts() const = 0;
};

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_KERNEL_H_
