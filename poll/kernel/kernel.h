#ifndef EPORE_POLL_KERNEL_KERNEL_H_
#define EPORE_POLL_KERNEL_KERNEL_H_

#include <signal.h>
#include <sys/select.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "epore/poll/kernel/kernel_call.h"
#include "epore/poll/kernel/sys_result.h"

struct addrinfo;
struct epoll_event;
struct io_uring_params;
struct mmsghdr;
struct msghdr;
struct pollfd;
struct sigaction;
struct sockaddr;
struct stat;
struct timespec;

namespace epore {

struct ProcessStart;

// What a thread has used since its start.
struct ThreadUsage {
  std::int64_t cpu = 0;     // ns
  std::int64_t sleeps = 0;  // how often it gave up its processor to wait for something
};

enum class ThreadState : std::uint8_t {
  runs,    // or waits for a processor
  parked,  // sleeps in futex(2): it waits for a lock, or until another thread tells it something
  asleep,  // for another reason
};

// A Kernel is the one seam between epore and the operating system. Every system call and every
// blocking wait of the library is a method of this class. Tests replace it: they count calls, make
// the k-th call fail, or let a simulated clock pass.
//
// A method makes the system call of its name once, with no retry and no policy. The manual page of
// the call is its documentation. Callers pass the flags that make descriptors close-on-exec and
// non-blocking. Sending never raises SIGPIPE.
//
// Threads: any, at the same time, but not from a signal handler: counting may allocate and lock. No
// caller holds a lock during a call. A simulation can then switch threads at these calls only.
//
// Lifetime: a Kernel outlives everything that uses it.
class Kernel {
 public:
  virtual ~Kernel() = default;

  // The operating system itself. There is one for the process, and it is never destroyed.
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
  virtual SysResult recvmsg(int fd, msghdr* message, int flags) = 0;
  // Several messages in one call: return the number of those that were received or sent.
  virtual SysResult recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) = 0;
  virtual SysResult sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) = 0;
  virtual SysResult getsockopt(int fd, int level, int name, void* value, unsigned* size) = 0;
  virtual SysResult setsockopt(int fd, int level, int name, const void* value, unsigned size) = 0;
  virtual SysResult getsockname(int fd, sockaddr* address, unsigned* size) = 0;
  virtual SysResult getpeername(int fd, sockaddr* address, unsigned* size) = 0;
  virtual SysResult socketpair(int domain, int type, int protocol, int fds[2]) = 0;

  // Descriptors.
  virtual SysResult close(int fd) = 0;  // never repeated, whatever it returns
  virtual SysResult fcntl(int fd, int command, int argument) = 0;
  virtual SysResult fstat(int fd, struct stat* status) = 0;
  virtual SysResult fchmod(int fd, unsigned mode) = 0;
  virtual SysResult flock(int fd, int operation) = 0;
  virtual SysResult read(int fd, void* buffer, std::size_t size) = 0;
  virtual SysResult write(int fd, const void* bytes, std::size_t size) = 0;
  virtual SysResult pread(int fd, void* buffer, std::size_t size, std::int64_t offset) = 0;
  virtual SysResult pipe(int ends[2], int flags) = 0;

  // From descriptor to descriptor, without a buffer of the program's. sendfile() reads at `offset`
  // and leaves the position of the file as it is. splice() has a pipe at one end or at both.
  virtual SysResult sendfile(int to, int from, std::int64_t offset, std::size_t size) = 0;
  virtual SysResult splice(int from, int to, std::size_t size, unsigned flags) = 0;

  // Files by their paths. `mode` is for a file that open() makes.
  virtual SysResult open(const char* path, int flags, unsigned mode) = 0;
  virtual SysResult lstat(const char* path, struct stat* status) = 0;
  virtual SysResult unlink(const char* path) = 0;

  // Event queues. A null `timeout` waits for ever.
  virtual SysResult eventfd(unsigned value, int flags) = 0;
  virtual SysResult epoll_create(int flags) = 0;
  virtual SysResult epoll_ctl(int epfd, int operation, int fd, epoll_event* event) = 0;
  virtual SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) = 0;
  virtual SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                 const timespec* timeout) = 0;
  virtual SysResult ppoll(pollfd* fds, std::size_t count, const timespec* timeout) = 0;
  // The sets are arrays of words with at least `size` bits, which may be more than an fd_set has.
  virtual SysResult pselect(int size, fd_set* readable, fd_set* writable, fd_set* priority,
                            const timespec* timeout) = 0;

  // A ring of operations and completions, see io_uring(7). The descriptor is close-on-exec.
  virtual SysResult io_uring_setup(unsigned entries, io_uring_params* params) = 0;
  virtual SysResult io_uring_enter(int ring, unsigned submit, unsigned min_complete, unsigned flags,
                                   const void* argument, std::size_t size) = 0;
  virtual SysResult io_uring_register(int ring, unsigned operation, void* argument,
                                      unsigned count) = 0;

  // Maps memory that is shared with what `fd` names. The value of the result is the address.
  virtual SysResult mmap(std::size_t size, int protection, int flags, int fd,
                         std::int64_t offset) = 0;
  virtual SysResult munmap(void* address, std::size_t size) = 0;

  // The time of CLOCK_MONOTONIC in nanoseconds.
  virtual std::int64_t now() = 0;

  // Blocks the thread while `word` holds `expected`, for at most `timeout_ns` nanoseconds. A
  // negative timeout blocks for ever. May return early, so callers check `word` again. See
  // futex(2).
  virtual SysResult park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                         std::int64_t timeout_ns) = 0;
  // Wakes at most `count` threads that park on `word`.
  virtual SysResult unpark(const std::atomic<std::uint32_t>& word, int count) = 0;

  // The number of processors that this thread may use, at least one. See sched_getaffinity(2).
  virtual int processors() = 0;

  // The id of this thread, as run_delay() takes it. See gettid(2).
  virtual int thread_id() = 0;

  // Gives this thread the policy SCHED_BATCH. A batch thread that wakes up does not preempt the
  // thread that runs on the processor. It waits until that thread sleeps or has used its slice.
  // Does nothing if the thread has another policy than SCHED_OTHER. See sched(7).
  virtual SysResult set_batch_scheduling() = 0;

  // Stores how long `thread` has waited for a processor while it was able to run, since its start.
  // `thread` is of this process. Returns ENOENT where the system does not tell. It is the second
  // number of /proc/PID/task/TID/schedstat (Documentation/scheduler/sched-stats of the kernel).
  virtual SysResult run_delay(int thread, std::int64_t* nanoseconds) = 0;

  // Stores what `thread` does. `thread` is of this process. Returns ENOENT where the system does
  // not tell. It is in /proc/PID/task/TID/syscall, see proc(5).
  virtual SysResult thread_state(int thread, ThreadState* state) = 0;

  // Stores how long `thread` has had a processor since its start, in ns. `thread` is of this
  // process. See pthread_getcpuclockid(3).
  virtual SysResult thread_cpu(int thread, std::int64_t* nanoseconds) = 0;

  // Stores what this thread has used since its start. Returns an error where the system does not
  // tell. See getrusage(2).
  virtual SysResult thread_usage(ThreadUsage* usage) = 0;

  // Starts a thread that runs `body` and stores its id. `name` is cut to 15 characters. The thread
  // has the program's signals blocked. Join or detach each id exactly once.
  virtual SysResult start_thread(const char* name, std::function<void()> body,
                                 std::uint64_t* id) = 0;
  virtual SysResult join_thread(std::uint64_t id) = 0;
  virtual SysResult detach_thread(std::uint64_t id) = 0;

  // Calls getaddrinfo(3), which blocks. Returns 0 or an EAI_ code. Give the list back with
  // free_addresses().
  virtual int resolve(const char* host, const char* service, const addrinfo* hints,
                      addrinfo** list) = 0;
  virtual void free_addresses(addrinfo* list) = 0;

  virtual SysResult sigaction(int signal, const struct sigaction* action,
                              struct sigaction* old) = 0;

  // Child processes. spawn() starts a program, and returns when exec(3) has replaced this one in
  // the child, or has failed. Returns the child's id, and stores a descriptor of it, which is
  // close-on-exec (pidfd_open(2)). After an error no child is left, and start.failed says what has
  // failed; it is what the system calls of that step return. See process_start.h.
  virtual SysResult spawn(ProcessStart& start, int* pidfd) = 0;
  // `child` is a descriptor of spawn().
  virtual SysResult waitid(int child, siginfo_t* info, int options) = 0;
  virtual SysResult pidfd_send_signal(int child, int signal) = 0;
  virtual SysResult kill(int process_or_group, int signal) = 0;

  // The number of calls of each kind so far. A Kernel that wraps another one returns the counts of
  // the inner one.
  virtual KernelCallCounts counts() const = 0;
};

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_KERNEL_H_
