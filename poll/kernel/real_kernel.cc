#include "epore/poll/kernel/real_kernel.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "epore/poll/kernel/sanitizers.h"
#include "epore/poll/kernel/spawn_process.h"

namespace epore {
namespace {

SysResult result(std::int64_t returned) {
  return returned >= 0 ? SysResult(returned) : SysResult::from_errno(errno);
}

// Makes a call that may raise SIGPIPE and has no MSG_NOSIGNAL. The signal is one of this thread's,
// so it is blocked for the call and taken away.
template <typename Call>
SysResult without_sigpipe(Call call) {
  sigset_t sigpipe;
  sigset_t before;
  ::sigemptyset(&sigpipe);
  ::sigaddset(&sigpipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
  const SysResult called = result(call());
  if (called.error() == EPIPE) {
    const timespec at_once = {};
    while (::sigtimedwait(&sigpipe, nullptr, &at_once) < 0 && errno == EINTR) {
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return called;
}

struct ThreadStart {
  std::string name;
  std::function<void()> body;
};

void* thread_main(void* argument) {
  std::unique_ptr<ThreadStart> start(static_cast<ThreadStart*>(argument));
  ::pthread_setname_np(::pthread_self(), start->name.c_str());
  start->body();
  return nullptr;
}

}  // namespace

Kernel& Kernel::real() {
  static RealKernel* const kernel = new RealKernel();  // never destroyed: threads may outlive main
  return *kernel;
}

// A program that was started with 0, 1 or 2 closed still prints and logs to these numbers. If a
// socket had such a number, the text would go to a peer. The new number is close-on-exec as well.
SysResult RealKernel::above_stdio(SysResult made) {
  if (!made.ok() || made.fd() > STDERR_FILENO) [[likely]]
    return made;
  const SysResult moved = result(::fcntl(made.fd(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  ::close(made.fd());
  return moved;
}

SysResult RealKernel::socket(int domain, int type, int protocol) {
  count(KernelCall::kSocket);
  return above_stdio(result(::socket(domain, type, protocol)));
}

SysResult RealKernel::bind(int fd, const sockaddr* address, unsigned size) {
  count(KernelCall::kBind);
  return result(::bind(fd, address, size));
}

SysResult RealKernel::listen(int fd, int backlog) {
  count(KernelCall::kListen);
  return result(::listen(fd, backlog));
}

SysResult RealKernel::accept(int fd, sockaddr* peer, unsigned* size, int flags) {
  count(KernelCall::kAccept);
  return above_stdio(result(::accept4(fd, peer, size, flags)));
}

SysResult RealKernel::connect(int fd, const sockaddr* address, unsigned size) {
  count(KernelCall::kConnect);
  return result(::connect(fd, address, size));
}

SysResult RealKernel::shutdown(int fd, int how) {
  count(KernelCall::kShutdown);
  return result(::shutdown(fd, how));
}

// libc's recv(2) and send(2) are cancellation points (pthreads(7)). In a program with threads they
// switch cancellation on and off around the call, which costs four locked instructions and a
// hundred others for each echo. Nobody cancels a thread of epore, so these two go past libc.
SysResult RealKernel::recv(int fd, void* buffer, std::size_t size, int flags) {
  count(KernelCall::kRecv);
  if constexpr (internal::kReplacesLibc) return result(::recv(fd, buffer, size, flags));
  return result(::syscall(SYS_recvfrom, fd, buffer, size, flags, nullptr, nullptr));
}

SysResult RealKernel::send(int fd, const void* bytes, std::size_t size, int flags) {
  count(KernelCall::kSend);
  flags |= MSG_NOSIGNAL;
  if constexpr (internal::kReplacesLibc) return result(::send(fd, bytes, size, flags));
  return result(::syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0));
}

SysResult RealKernel::sendmsg(int fd, const msghdr* message, int flags) {
  count(KernelCall::kSendmsg);
  return result(::sendmsg(fd, message, flags | MSG_NOSIGNAL));
}

SysResult RealKernel::recvmsg(int fd, msghdr* message, int flags) {
  count(KernelCall::kRecvmsg);
  return result(::recvmsg(fd, message, flags));
}

SysResult RealKernel::recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  this->count(KernelCall::kRecvmmsg);
  return result(::recvmmsg(fd, messages, count, flags, nullptr));
}

SysResult RealKernel::sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  this->count(KernelCall::kSendmmsg);
  return result(::sendmmsg(fd, messages, count, flags | MSG_NOSIGNAL));
}

SysResult RealKernel::getsockopt(int fd, int level, int name, void* value, unsigned* size) {
  count(KernelCall::kGetsockopt);
  return result(::getsockopt(fd, level, name, value, size));
}

SysResult RealKernel::setsockopt(int fd, int level, int name, const void* value, unsigned size) {
  count(KernelCall::kSetsockopt);
  return result(::setsockopt(fd, level, name, value, size));
}

SysResult RealKernel::getsockname(int fd, sockaddr* address, unsigned* size) {
  count(KernelCall::kGetsockname);
  return result(::getsockname(fd, address, size));
}

SysResult RealKernel::getpeername(int fd, sockaddr* address, unsigned* size) {
  count(KernelCall::kGetpeername);
  return result(::getpeername(fd, address, size));
}

SysResult RealKernel::socketpair(int domain, int type, int protocol, int fds[2]) {
  count(KernelCall::kSocketpair);
  const SysResult made = result(::socketpair(domain, type, protocol, fds));
  if (!made.ok()) return made;
  for (int* const fd : {&fds[0], &fds[1]}) {
    const SysResult moved = above_stdio(SysResult(*fd));
    if (!moved.ok()) {  // above_stdio() has closed this one
      ::close(fd == &fds[0] ? fds[1] : fds[0]);
      return moved;
    }
    *fd = moved.fd();
  }
  return made;
}

SysResult RealKernel::close(int fd) {
  count(KernelCall::kClose);
  return result(::close(fd));
}

SysResult RealKernel::fcntl(int fd, int command, int argument) {
  count(KernelCall::kFcntl);
  return result(::fcntl(fd, command, argument));
}

SysResult RealKernel::fstat(int fd, struct stat* status) {
  count(KernelCall::kFstat);
  return result(::fstat(fd, status));
}

SysResult RealKernel::fchmod(int fd, unsigned mode) {
  count(KernelCall::kFchmod);
  return result(::fchmod(fd, static_cast<mode_t>(mode)));
}

SysResult RealKernel::flock(int fd, int operation) {
  count(KernelCall::kFlock);
  return result(::flock(fd, operation));
}

SysResult RealKernel::read(int fd, void* buffer, std::size_t size) {
  count(KernelCall::kRead);
  return result(::read(fd, buffer, size));
}

SysResult RealKernel::write(int fd, const void* bytes, std::size_t size) {
  count(KernelCall::kWrite);
  return result(::write(fd, bytes, size));
}

SysResult RealKernel::pread(int fd, void* buffer, std::size_t size, std::int64_t offset) {
  count(KernelCall::kPread);
  return result(::pread(fd, buffer, size, offset));
}

SysResult RealKernel::pipe(int ends[2], int flags) {
  count(KernelCall::kPipe);
  int made[2];
  const SysResult called = result(::pipe2(made, flags));
  if (!called.ok()) return called;
  const SysResult first = above_stdio(SysResult(made[0]));
  const SysResult second = above_stdio(SysResult(made[1]));
  if (first.ok() && second.ok()) {
    ends[0] = first.fd();
    ends[1] = second.fd();
    return called;
  }
  if (first.ok()) ::close(first.fd());
  if (second.ok()) ::close(second.fd());
  return first.ok() ? second : first;
}

SysResult RealKernel::sendfile(int to, int from, std::int64_t offset, std::size_t size) {
  count(KernelCall::kSendfile);
  off_t position = offset;
  return without_sigpipe([&] { return ::sendfile(to, from, &position, size); });
}

SysResult RealKernel::splice(int from, int to, std::size_t size, unsigned flags) {
  count(KernelCall::kSplice);
  return without_sigpipe([&] { return ::splice(from, nullptr, to, nullptr, size, flags); });
}

SysResult RealKernel::open(const char* path, int flags, unsigned mode) {
  count(KernelCall::kOpen);
  return above_stdio(result(::open(path, flags, static_cast<mode_t>(mode))));
}

SysResult RealKernel::lstat(const char* path, struct stat* status) {
  count(KernelCall::kLstat);
  return result(::lstat(path, status));
}

SysResult RealKernel::unlink(const char* path) {
  count(KernelCall::kUnlink);
  return result(::unlink(path));
}

SysResult RealKernel::eventfd(unsigned value, int flags) {
  count(KernelCall::kEventfd);
  return above_stdio(result(::eventfd(value, flags)));
}

SysResult RealKernel::epoll_create(int flags) {
  count(KernelCall::kEpollCreate);
  return above_stdio(result(::epoll_create1(flags)));
}

SysResult RealKernel::epoll_ctl(int epfd, int operation, int fd, epoll_event* event) {
  count(KernelCall::kEpollCtl);
  return result(::epoll_ctl(epfd, operation, fd, event));
}

SysResult RealKernel::epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  count(KernelCall::kEpollWait);
  return result(::epoll_wait(epfd, events, capacity, timeout_ms));
}

SysResult RealKernel::epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                   const timespec* timeout) {
  count(KernelCall::kEpollWait);
  return result(::epoll_pwait2(epfd, events, capacity, timeout, nullptr));
}

SysResult RealKernel::ppoll(pollfd* fds, std::size_t size, const timespec* timeout) {
  count(KernelCall::kPoll);
  return result(::ppoll(fds, size, timeout, nullptr));
}

SysResult RealKernel::pselect(int size, fd_set* readable, fd_set* writable, fd_set* priority,
                              const timespec* timeout) {
  count(KernelCall::kSelect);
  return result(::pselect(size, readable, writable, priority, timeout, nullptr));
}

SysResult RealKernel::io_uring_setup(unsigned entries, io_uring_params* params) {
  count(KernelCall::kIoUringSetup);
  return above_stdio(result(::syscall(SYS_io_uring_setup, entries, params)));
}

SysResult RealKernel::io_uring_enter(int ring, unsigned submit, unsigned min_complete,
                                     unsigned flags, const void* argument, std::size_t size) {
  count(KernelCall::kIoUringEnter);
  return result(::syscall(SYS_io_uring_enter, ring, submit, min_complete, flags, argument, size));
}

SysResult RealKernel::io_uring_register(int ring, unsigned operation, void* argument,
                                        unsigned count) {
  this->count(KernelCall::kIoUringRegister);
  return result(::syscall(SYS_io_uring_register, ring, operation, argument, count));
}

SysResult RealKernel::mmap(std::size_t size, int protection, int flags, int fd,
                           std::int64_t offset) {
  count(KernelCall::kMmap);
  void* const address = ::mmap(nullptr, size, protection, flags, fd, offset);
  if (address == MAP_FAILED) return SysResult::from_errno(errno);
  return SysResult(reinterpret_cast<std::intptr_t>(address));
}

SysResult RealKernel::munmap(void* address, std::size_t size) {
  count(KernelCall::kMunmap);
  return result(::munmap(address, size));
}

std::int64_t RealKernel::now() {
  count(KernelCall::kClock);
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

SysResult RealKernel::park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                           std::int64_t timeout_ns) {
  count(KernelCall::kPark);
  timespec timeout;
  if (timeout_ns >= 0) {
    timeout.tv_sec = timeout_ns / 1'000'000'000;
    timeout.tv_nsec = timeout_ns % 1'000'000'000;
  }
  const SysResult parked = result(::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected,
                                            timeout_ns >= 0 ? &timeout : nullptr, nullptr, 0));
  const int error = parked.error();
  if (error != 0 && error != EAGAIN && error != EINTR && error != ETIMEDOUT) {
    // The system refuses the call. The callers try again, so a short wait keeps them from spinning.
    ::poll(nullptr, 0, 1);
  }
  return parked;
}

SysResult RealKernel::unpark(const std::atomic<std::uint32_t>& word, int waiters) {
  count(KernelCall::kUnpark);
  return result(::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, waiters, nullptr, nullptr, 0));
}

int RealKernel::processors() {
  count(KernelCall::kProcessors);
  // EINVAL means that the machine has more processors than the set has room for. Any other errno
  // means that the call is refused.
  for (int room = CPU_SETSIZE; room <= 64 * CPU_SETSIZE; room *= 4) {
    const std::size_t size = CPU_ALLOC_SIZE(room);
    std::vector<unsigned char> set(size);
    auto* const bits = reinterpret_cast<cpu_set_t*>(set.data());
    if (::sched_getaffinity(0, size, bits) == 0) return std::max(1, CPU_COUNT_S(size, bits));
    if (errno != EINVAL) break;
  }
  return static_cast<int>(std::clamp(::sysconf(_SC_NPROCESSORS_ONLN), 1l, 1024l));
}

int RealKernel::thread_id() {
  count(KernelCall::kThreadId);
  return static_cast<int>(::syscall(SYS_gettid));
}

SysResult RealKernel::set_batch_scheduling() {
  count(KernelCall::kSetScheduler);
  if (::sched_getscheduler(0) != SCHED_OTHER) return SysResult(0);
  const sched_param none = {};
  return result(::sched_setscheduler(0, SCHED_BATCH, &none));
}

SysResult RealKernel::read_of_thread(int thread, const char* file, std::span<char> text) {
  char path[64];  // not a string: a watchdog without memory asks as well
  (void)std::snprintf(path, sizeof path, "/proc/self/task/%d/%s", thread, file);
  const SysResult opened = above_stdio(result(::open(path, O_RDONLY | O_CLOEXEC)));
  if (!opened.ok()) return opened;
  const int fd = opened.fd();
  const ssize_t size = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  if (size <= 0) return SysResult::from_errno(ENOENT);
  text[static_cast<std::size_t>(size)] = '\0';
  return SysResult(0);
}

SysResult RealKernel::run_delay(int thread, std::int64_t* nanoseconds) {
  count(KernelCall::kRunDelay);
  char text[128];  // "time-running time-waiting timeslices"
  if (const SysResult read = read_of_thread(thread, "schedstat", text); !read.ok()) return read;
  char* second = nullptr;
  (void)std::strtoll(text, &second, 10);
  char* end = nullptr;
  *nanoseconds = std::strtoll(second, &end, 10);
  return end != second ? SysResult(0) : SysResult::from_errno(ENOENT);
}

SysResult RealKernel::thread_state(int thread, ThreadState* state) {
  count(KernelCall::kThreadState);
  char text[256];  // "running", or the number of a system call and its arguments
  if (const SysResult read = read_of_thread(thread, "syscall", text); !read.ok()) return read;
  char* end = nullptr;
  const long call = std::strtol(text, &end, 10);
  if (end == text) {
    *state = ThreadState::runs;
  } else {
    *state = call == SYS_futex ? ThreadState::parked : ThreadState::asleep;
  }
  return SysResult(0);
}

SysResult RealKernel::thread_cpu(int thread, std::int64_t* nanoseconds) {
  count(KernelCall::kThreadCpu);
  // As glibc makes it of a thread's id: the kernel's CPUCLOCK_PERTHREAD_MASK and CPUCLOCK_SCHED.
  const auto clock = static_cast<clockid_t>(~static_cast<unsigned>(thread) << 3 | 4 | 2);
  timespec time;
  const SysResult returned = result(::clock_gettime(clock, &time));
  if (returned.ok()) *nanoseconds = std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  return returned;
}

SysResult RealKernel::thread_usage(ThreadUsage* usage) {
  count(KernelCall::kThreadUsage);
  rusage used;
  const SysResult returned = result(::getrusage(RUSAGE_THREAD, &used));
  if (!returned.ok()) return returned;
  const auto nanoseconds = [](const timeval& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + std::int64_t{time.tv_usec} * 1'000;
  };
  *usage = {.cpu = nanoseconds(used.ru_utime) + nanoseconds(used.ru_stime),
            .sleeps = used.ru_nvcsw};
  return returned;
}

SysResult RealKernel::start_thread(const char* name, std::function<void()> body,
                                   std::uint64_t* id) {
  count(KernelCall::kThreadStart);
  auto start =
      std::make_unique<ThreadStart>(ThreadStart{std::string(name).substr(0, 15), std::move(body)});
  // The program's signal handlers must run on the program's threads. Profilers need SIGPROF on
  // every thread. A fault that is blocked would end the process without the program's handler.
  sigset_t blocked;
  sigset_t before;
  ::sigfillset(&blocked);
  for (int signal : {SIGPROF, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
    ::sigdelset(&blocked, signal);
  }
  ::pthread_sigmask(SIG_SETMASK, &blocked, &before);
  pthread_t thread;
  const int error = ::pthread_create(&thread, nullptr, thread_main, start.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return SysResult::from_errno(error);
  start.release();  // thread_main owns it
  *id = static_cast<std::uint64_t>(thread);
  return SysResult(0);
}

SysResult RealKernel::join_thread(std::uint64_t id) {
  count(KernelCall::kThreadJoin);
  return SysResult(-std::int64_t{::pthread_join(static_cast<pthread_t>(id), nullptr)});
}

SysResult RealKernel::detach_thread(std::uint64_t id) {
  count(KernelCall::kThreadDetach);
  return SysResult(-std::int64_t{::pthread_detach(static_cast<pthread_t>(id))});
}

int RealKernel::resolve(const char* host, const char* service, const addrinfo* hints,
                        addrinfo** list) {
  count(KernelCall::kResolve);
  return ::getaddrinfo(host, service, hints, list);
}

void RealKernel::free_addresses(addrinfo* list) { ::freeaddrinfo(list); }

SysResult RealKernel::sigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  count(KernelCall::kSigaction);
  return result(::sigaction(signal, action, old));
}

SysResult RealKernel::spawn(ProcessStart& start, int* pidfd) {
  count(KernelCall::kSpawn);
  const SysResult started = spawn_process(start, pidfd);
  // A program without stdin may get its number here. It is moved as others are; if that fails, the
  // number serves as well.
  if (started.ok() && *pidfd <= STDERR_FILENO) {
    const int moved = ::fcntl(*pidfd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (moved >= 0) {
      ::close(*pidfd);
      *pidfd = moved;
    }
  }
  return started;
}

SysResult RealKernel::waitid(int child, siginfo_t* info, int options) {
  count(KernelCall::kWaitid);
  return result(::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child), info, options));
}

SysResult RealKernel::pidfd_send_signal(int child, int signal) {
  count(KernelCall::kPidfdSendSignal);
  return result(::syscall(SYS_pidfd_send_signal, child, signal, nullptr, 0));
}

SysResult RealKernel::kill(int process_or_group, int signal) {
  count(KernelCall::kKill);
  return result(::kill(process_or_group, signal));
}

KernelCallCounts RealKernel::counts() const {
  KernelCallCounts counts;
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = counters_.sum(i);
  return counts;
}

}  // namespace epore
