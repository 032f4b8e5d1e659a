#include "epore/runtime/internal/testing/passing_kernel.h"

#include <utility>

namespace epore::internal {

SysResult PassingKernel::pass(KernelCall /*kind*/, int /*fd*/,
                              absl::FunctionRef<SysResult()> make) {
  return make();
}

SysResult PassingKernel::socket(int domain, int type, int protocol) {
  return pass(KernelCall::kSocket, -1, [&] { return inner_.socket(domain, type, protocol); });
}

SysResult PassingKernel::bind(int fd, const sockaddr* address, unsigned size) {
  return pass(KernelCall::kBind, fd, [&] { return inner_.bind(fd, address, size); });
}

SysResult PassingKernel::listen(int fd, int backlog) {
  return pass(KernelCall::kListen, fd, [&] { return inner_.listen(fd, backlog); });
}

SysResult PassingKernel::accept(int fd, sockaddr* peer, unsigned* size, int flags) {
  return pass(KernelCall::kAccept, fd, [&] { return inner_.accept(fd, peer, size, flags); });
}

SysResult PassingKernel::connect(int fd, const sockaddr* address, unsigned size) {
  return pass(KernelCall::kConnect, fd, [&] { return inner_.connect(fd, address, size); });
}

SysResult PassingKernel::shutdown(int fd, int how) {
  return pass(KernelCall::kShutdown, fd, [&] { return inner_.shutdown(fd, how); });
}

SysResult PassingKernel::recv(int fd, void* buffer, std::size_t size, int flags) {
  return pass(KernelCall::kRecv, fd, [&] { return inner_.recv(fd, buffer, size, flags); });
}

SysResult PassingKernel::send(int fd, const void* bytes, std::size_t size, int flags) {
  return pass(KernelCall::kSend, fd, [&] { return inner_.send(fd, bytes, size, flags); });
}

SysResult PassingKernel::sendmsg(int fd, const msghdr* message, int flags) {
  return pass(KernelCall::kSendmsg, fd, [&] { return inner_.sendmsg(fd, message, flags); });
}

SysResult PassingKernel::recvmsg(int fd, msghdr* message, int flags) {
  return pass(KernelCall::kRecvmsg, fd, [&] { return inner_.recvmsg(fd, message, flags); });
}

SysResult PassingKernel::recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  return pass(KernelCall::kRecvmmsg, fd,
              [&] { return inner_.recvmmsg(fd, messages, count, flags); });
}

SysResult PassingKernel::sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  return pass(KernelCall::kSendmmsg, fd,
              [&] { return inner_.sendmmsg(fd, messages, count, flags); });
}

SysResult PassingKernel::getsockopt(int fd, int level, int name, void* value, unsigned* size) {
  return pass(KernelCall::kGetsockopt, fd,
              [&] { return inner_.getsockopt(fd, level, name, value, size); });
}

SysResult PassingKernel::setsockopt(int fd, int level, int name, const void* value, unsigned size) {
  return pass(KernelCall::kSetsockopt, fd,
              [&] { return inner_.setsockopt(fd, level, name, value, size); });
}

SysResult PassingKernel::getsockname(int fd, sockaddr* address, unsigned* size) {
  return pass(KernelCall::kGetsockname, fd, [&] { return inner_.getsockname(fd, address, size); });
}

SysResult PassingKernel::getpeername(int fd, sockaddr* address, unsigned* size) {
  return pass(KernelCall::kGetpeername, fd, [&] { return inner_.getpeername(fd, address, size); });
}

SysResult PassingKernel::socketpair(int domain, int type, int protocol, int fds[2]) {
  return pass(KernelCall::kSocketpair, -1,
              [&] { return inner_.socketpair(domain, type, protocol, fds); });
}

SysResult PassingKernel::close(int fd) {
  return pass(KernelCall::kClose, fd, [&] { return inner_.close(fd); });
}

SysResult PassingKernel::fcntl(int fd, int command, int argument) {
  return pass(KernelCall::kFcntl, fd, [&] { return inner_.fcntl(fd, command, argument); });
}

SysResult PassingKernel::fstat(int fd, struct stat* status) {
  return pass(KernelCall::kFstat, fd, [&] { return inner_.fstat(fd, status); });
}

SysResult PassingKernel::fchmod(int fd, unsigned mode) {
  return pass(KernelCall::kFchmod, fd, [&] { return inner_.fchmod(fd, mode); });
}

SysResult PassingKernel::flock(int fd, int operation) {
  return pass(KernelCall::kFlock, fd, [&] { return inner_.flock(fd, operation); });
}

SysResult PassingKernel::read(int fd, void* buffer, std::size_t size) {
  return pass(KernelCall::kRead, fd, [&] { return inner_.read(fd, buffer, size); });
}

SysResult PassingKernel::write(int fd, const void* bytes, std::size_t size) {
  return pass(KernelCall::kWrite, fd, [&] { return inner_.write(fd, bytes, size); });
}

SysResult PassingKernel::pread(int fd, void* buffer, std::size_t size, std::int64_t offset) {
  return pass(KernelCall::kPread, fd, [&] { return inner_.pread(fd, buffer, size, offset); });
}

SysResult PassingKernel::pipe(int ends[2], int flags) {
  return pass(KernelCall::kPipe, -1, [&] { return inner_.pipe(ends, flags); });
}

SysResult PassingKernel::sendfile(int to, int from, std::int64_t offset, std::size_t size) {
  return pass(KernelCall::kSendfile, to, [&] { return inner_.sendfile(to, from, offset, size); });
}

SysResult PassingKernel::splice(int from, int to, std::size_t size, unsigned flags) {
  return pass(KernelCall::kSplice, from, [&] { return inner_.splice(from, to, size, flags); });
}

SysResult PassingKernel::open(const char* path, int flags, unsigned mode) {
  return pass(KernelCall::kOpen, -1, [&] { return inner_.open(path, flags, mode); });
}

SysResult PassingKernel::lstat(const char* path, struct stat* status) {
  return pass(KernelCall::kLstat, -1, [&] { return inner_.lstat(path, status); });
}

SysResult PassingKernel::unlink(const char* path) {
  return pass(KernelCall::kUnlink, -1, [&] { return inner_.unlink(path); });
}

SysResult PassingKernel::eventfd(unsigned value, int flags) {
  return pass(KernelCall::kEventfd, -1, [&] { return inner_.eventfd(value, flags); });
}

SysResult PassingKernel::epoll_create(int flags) {
  return pass(KernelCall::kEpollCreate, -1, [&] { return inner_.epoll_create(flags); });
}

SysResult PassingKernel::epoll_ctl(int epfd, int operation, int fd, epoll_event* event) {
  return pass(KernelCall::kEpollCtl, epfd,
              [&] { return inner_.epoll_ctl(epfd, operation, fd, event); });
}

SysResult PassingKernel::epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  return pass(KernelCall::kEpollWait, epfd,
              [&] { return inner_.epoll_wait(epfd, events, capacity, timeout_ms); });
}

SysResult PassingKernel::epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                      const timespec* timeout) {
  return pass(KernelCall::kEpollWait, epfd,
              [&] { return inner_.epoll_pwait2(epfd, events, capacity, timeout); });
}

SysResult PassingKernel::ppoll(pollfd* fds, std::size_t count, const timespec* timeout) {
  return pass(KernelCall::kPoll, -1, [&] { return inner_.ppoll(fds, count, timeout); });
}

SysResult PassingKernel::pselect(int size, fd_set* readable, fd_set* writable, fd_set* priority,
                                 const timespec* timeout) {
  return pass(KernelCall::kSelect, -1,
              [&] { return inner_.pselect(size, readable, writable, priority, timeout); });
}

SysResult PassingKernel::io_uring_setup(unsigned entries, io_uring_params* params) {
  return pass(KernelCall::kIoUringSetup, -1,
              [&] { return inner_.io_uring_setup(entries, params); });
}

SysResult PassingKernel::io_uring_enter(int ring, unsigned submit, unsigned min_complete,
                                        unsigned flags, const void* argument, std::size_t size) {
  return pass(KernelCall::kIoUringEnter, ring, [&] {
    return inner_.io_uring_enter(ring, submit, min_complete, flags, argument, size);
  });
}

SysResult PassingKernel::io_uring_register(int ring, unsigned operation, void* argument,
                                           unsigned count) {
  return pass(KernelCall::kIoUringRegister, ring,
              [&] { return inner_.io_uring_register(ring, operation, argument, count); });
}

SysResult PassingKernel::mmap(std::size_t size, int protection, int flags, int fd,
                              std::int64_t offset) {
  return pass(KernelCall::kMmap, fd,
              [&] { return inner_.mmap(size, protection, flags, fd, offset); });
}

SysResult PassingKernel::munmap(void* address, std::size_t size) {
  return pass(KernelCall::kMunmap, -1, [&] { return inner_.munmap(address, size); });
}

std::int64_t PassingKernel::now() { return inner_.now(); }

SysResult PassingKernel::park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                              std::int64_t timeout_ns) {
  return pass(KernelCall::kPark, -1, [&] { return inner_.park(word, expected, timeout_ns); });
}

SysResult PassingKernel::unpark(const std::atomic<std::uint32_t>& word, int count) {
  return pass(KernelCall::kUnpark, -1, [&] { return inner_.unpark(word, count); });
}

int PassingKernel::processors() { return inner_.processors(); }

int PassingKernel::thread_id() { return inner_.thread_id(); }

SysResult PassingKernel::set_batch_scheduling() {
  return pass(KernelCall::kSetScheduler, -1, [&] { return inner_.set_batch_scheduling(); });
}

SysResult PassingKernel::run_delay(int thread, std::int64_t* nanoseconds) {
  return pass(KernelCall::kRunDelay, -1, [&] { return inner_.run_delay(thread, nanoseconds); });
}

SysResult PassingKernel::thread_state(int thread, ThreadState* state) {
  return pass(KernelCall::kThreadState, -1, [&] { return inner_.thread_state(thread, state); });
}

SysResult PassingKernel::thread_cpu(int thread, std::int64_t* nanoseconds) {
  return pass(KernelCall::kThreadCpu, -1, [&] { return inner_.thread_cpu(thread, nanoseconds); });
}

SysResult PassingKernel::thread_usage(ThreadUsage* usage) {
  return pass(KernelCall::kThreadUsage, -1, [&] { return inner_.thread_usage(usage); });
}

SysResult PassingKernel::start_thread(const char* name, std::function<void()> body,
                                      std::uint64_t* id) {
  return pass(KernelCall::kThreadStart, -1,
              [&] { return inner_.start_thread(name, std::move(body), id); });
}

SysResult PassingKernel::join_thread(std::uint64_t id) {
  return pass(KernelCall::kThreadJoin, -1, [&] { return inner_.join_thread(id); });
}

SysResult PassingKernel::detach_thread(std::uint64_t id) {
  return pass(KernelCall::kThreadDetach, -1, [&] { return inner_.detach_thread(id); });
}

int PassingKernel::resolve(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** list) {
  return inner_.resolve(host, service, hints, list);
}

void PassingKernel::free_addresses(addrinfo* list) { inner_.free_addresses(list); }

SysResult PassingKernel::sigaction(int signal, const struct sigaction* action,
                                   struct sigaction* old) {
  return pass(KernelCall::kSigaction, -1, [&] { return inner_.sigaction(signal, action, old); });
}

SysResult PassingKernel::spawn(ProcessStart& start, int* pidfd) {
  return pass(KernelCall::kSpawn, -1, [&] { return inner_.spawn(start, pidfd); });
}

SysResult PassingKernel::waitid(int child, siginfo_t* info, int options) {
  return pass(KernelCall::kWaitid, child, [&] { return inner_.waitid(child, info, options); });
}

SysResult PassingKernel::pidfd_send_signal(int child, int signal) {
  return pass(KernelCall::kPidfdSendSignal, child,
              [&] { return inner_.pidfd_send_signal(child, signal); });
}

SysResult PassingKernel::kill(int process_or_group, int signal) {
  return pass(KernelCall::kKill, -1, [&] { return inner_.kill(process_or_group, signal); });
}

KernelCallCounts PassingKernel::counts() const { return inner_.counts(); }

}  // namespace epore::internal
