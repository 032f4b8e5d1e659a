#include "tests/support/fault_kernel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace epore {
namespace {

std::size_t index(KernelCall kind) { return static_cast<std::size_t>(kind); }

// The pieces of the message as far as its first `limit` bytes.
std::vector<iovec> first_bytes(const msghdr& message, std::size_t limit) {
  std::vector<iovec> pieces;
  for (std::size_t i = 0; i < message.msg_iovlen && limit > 0; ++i) {
    pieces.push_back(message.msg_iov[i]);
    pieces.back().iov_len = std::min(pieces.back().iov_len, limit);
    limit -= pieces.back().iov_len;
  }
  return pieces;
}

}  // namespace

FaultKernel::FaultKernel(Kernel& inner) : inner_(inner) {}
FaultKernel::~FaultKernel() { await_threads(); }

void FaultKernel::await_threads() {
  absl::MutexLock lock(&mutex_);
  const auto have_ended = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return threads_ == 0; };
  mutex_.Await(absl::Condition(&have_ended));
}

void FaultKernel::fail(KernelCall kind, int error, int k, int times) {
  absl::MutexLock lock(&mutex_);
  Rule& rule = rules_[index(kind)];
  rule.error = error;
  rule.first = rule.calls + static_cast<std::uint64_t>(k);
  rule.last = rule.first + static_cast<std::uint64_t>(times) - 1;
}

void FaultKernel::fail_if(KernelCall kind, std::function<int(const Call&)> error_of) {
  absl::MutexLock lock(&mutex_);
  std::swap(rules_[index(kind)].error_of, error_of);
}

void FaultKernel::fail_any(int k, int error) {
  absl::MutexLock lock(&mutex_);
  any_countdown_ = k;
  any_error_ = error;
}

bool FaultKernel::fault_is_pending() const {
  absl::MutexLock lock(&mutex_);
  return any_countdown_ > 0;
}

void FaultKernel::hide_epoll_pwait2(int error) {
  absl::MutexLock lock(&mutex_);
  pwait2_error_ = error;
}

void FaultKernel::before(KernelCall kind, Hook hook) {
  absl::MutexLock lock(&mutex_);
  std::swap(rules_[index(kind)].before, hook);
}

void FaultKernel::after(KernelCall kind, Hook hook) {
  absl::MutexLock lock(&mutex_);
  std::swap(rules_[index(kind)].after, hook);
}

void FaultKernel::before_each(Hook hook) {
  absl::MutexLock lock(&mutex_);
  std::swap(before_each_, hook);
}

void FaultKernel::use_manual_clock() {
  const std::int64_t start = inner_.now();
  absl::MutexLock lock(&mutex_);
  is_manual_clock_ = true;
  manual_now_ = start;
}

void FaultKernel::advance(absl::Duration by) {
  absl::MutexLock lock(&mutex_);
  manual_now_ += absl::ToInt64Nanoseconds(by);
}

void FaultKernel::shrink_sends(std::size_t limit) {
  absl::MutexLock lock(&mutex_);
  send_limit_ = limit;
}

void FaultKernel::shrink_recvs(std::size_t limit) {
  absl::MutexLock lock(&mutex_);
  recv_limit_ = limit;
}

std::uint64_t FaultKernel::calls(KernelCall kind) const {
  absl::MutexLock lock(&mutex_);
  return rules_[index(kind)].calls;
}

std::size_t FaultKernel::send_limit() const {
  absl::MutexLock lock(&mutex_);
  return send_limit_;
}

std::size_t FaultKernel::recv_limit() const {
  absl::MutexLock lock(&mutex_);
  return recv_limit_;
}

int FaultKernel::pwait2_error() const {
  absl::MutexLock lock(&mutex_);
  return pwait2_error_;
}

int FaultKernel::enter(Call& call) {
  Hook each;
  Hook own;
  std::function<int(const Call&)> error_of;
  int error = 0;
  {
    absl::MutexLock lock(&mutex_);
    Rule& rule = rules_[index(call.kind)];
    call.nth = ++rule.calls;
    own = rule.before;
    error_of = rule.error_of;
    if (call.kind != KernelCall::kClock) each = before_each_;
    if (rule.first <= call.nth && call.nth <= rule.last) error = rule.error;
    const bool can_fail = call.kind != KernelCall::kClock && call.kind != KernelCall::kClose;
    if (can_fail && any_countdown_ > 0 && --any_countdown_ == 0) error = any_error_;
  }
  if (each) each(call);
  if (own) own(call);
  if (error == 0 && error_of) error = error_of(call);
  return error;
}

void FaultKernel::leave(Call& call, SysResult result) {
  Hook own;
  {
    absl::MutexLock lock(&mutex_);
    own = rules_[index(call.kind)].after;
  }
  call.result = result;
  if (own) own(call);
}

template <typename Make>
SysResult FaultKernel::pass(KernelCall kind, int fd, Make make) {
  Call call{kind, fd};
  const int error = enter(call);
  SysResult result = SysResult::from_errno(error);
  if (error == 0) {
    result = make();
  } else if (kind == KernelCall::kClose) {
    (void)make();
  }
  leave(call, result);
  return result;
}

SysResult FaultKernel::socket(int domain, int type, int protocol) {
  return pass(KernelCall::kSocket, -1, [&] { return inner_.socket(domain, type, protocol); });
}

SysResult FaultKernel::bind(int fd, const sockaddr* address, unsigned size) {
  return pass(KernelCall::kBind, fd, [&] { return inner_.bind(fd, address, size); });
}

SysResult FaultKernel::listen(int fd, int backlog) {
  return pass(KernelCall::kListen, fd, [&] { return inner_.listen(fd, backlog); });
}

SysResult FaultKernel::accept(int fd, sockaddr* peer, unsigned* size, int flags) {
  return pass(KernelCall::kAccept, fd, [&] { return inner_.accept(fd, peer, size, flags); });
}

SysResult FaultKernel::connect(int fd, const sockaddr* address, unsigned size) {
  return pass(KernelCall::kConnect, fd, [&] { return inner_.connect(fd, address, size); });
}

SysResult FaultKernel::shutdown(int fd, int how) {
  return pass(KernelCall::kShutdown, fd, [&] { return inner_.shutdown(fd, how); });
}

SysResult FaultKernel::recv(int fd, void* buffer, std::size_t size, int flags) {
  return pass(KernelCall::kRecv, fd,
              [&] { return inner_.recv(fd, buffer, std::min(size, recv_limit()), flags); });
}

SysResult FaultKernel::send(int fd, const void* bytes, std::size_t size, int flags) {
  return pass(KernelCall::kSend, fd,
              [&] { return inner_.send(fd, bytes, std::min(size, send_limit()), flags); });
}

SysResult FaultKernel::sendmsg(int fd, const msghdr* message, int flags) {
  return pass(KernelCall::kSendmsg, fd, [&] {
    std::vector<iovec> pieces = first_bytes(*message, send_limit());
    msghdr shrunk = *message;
    shrunk.msg_iov = pieces.data();
    shrunk.msg_iovlen = pieces.size();
    return inner_.sendmsg(fd, &shrunk, flags);
  });
}

SysResult FaultKernel::recvmsg(int fd, msghdr* message, int flags) {
  return pass(KernelCall::kRecvmsg, fd, [&] {
    std::vector<iovec> pieces = first_bytes(*message, recv_limit());
    iovec* const all = std::exchange(message->msg_iov, pieces.data());
    const auto count = std::exchange(message->msg_iovlen, pieces.size());
    const SysResult result = inner_.recvmsg(fd, message, flags);
    message->msg_iov = all;
    message->msg_iovlen = count;
    return result;
  });
}

SysResult FaultKernel::recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  return pass(KernelCall::kRecvmmsg, fd,
              [&] { return inner_.recvmmsg(fd, messages, count, flags); });
}

SysResult FaultKernel::sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  return pass(KernelCall::kSendmmsg, fd,
              [&] { return inner_.sendmmsg(fd, messages, count, flags); });
}

SysResult FaultKernel::getsockopt(int fd, int level, int name, void* value, unsigned* size) {
  return pass(KernelCall::kGetsockopt, fd,
              [&] { return inner_.getsockopt(fd, level, name, value, size); });
}

SysResult FaultKernel::setsockopt(int fd, int level, int name, const void* value, unsigned size) {
  return pass(KernelCall::kSetsockopt, fd,
              [&] { return inner_.setsockopt(fd, level, name, value, size); });
}

SysResult FaultKernel::getsockname(int fd, sockaddr* address, unsigned* size) {
  return pass(KernelCall::kGetsockname, fd, [&] { return inner_.getsockname(fd, address, size); });
}

SysResult FaultKernel::getpeername(int fd, sockaddr* address, unsigned* size) {
  return pass(KernelCall::kGetpeername, fd, [&] { return inner_.getpeername(fd, address, size); });
}

SysResult FaultKernel::socketpair(int domain, int type, int protocol, int fds[2]) {
  return pass(KernelCall::kSocketpair, -1,
              [&] { return inner_.socketpair(domain, type, protocol, fds); });
}

SysResult FaultKernel::close(int fd) {
  return pass(KernelCall::kClose, fd, [&] { return inner_.close(fd); });
}

SysResult FaultKernel::fcntl(int fd, int command, int argument) {
  return pass(KernelCall::kFcntl, fd, [&] { return inner_.fcntl(fd, command, argument); });
}

SysResult FaultKernel::fstat(int fd, struct stat* status) {
  return pass(KernelCall::kFstat, fd, [&] { return inner_.fstat(fd, status); });
}

SysResult FaultKernel::fchmod(int fd, unsigned mode) {
  return pass(KernelCall::kFchmod, fd, [&] { return inner_.fchmod(fd, mode); });
}

SysResult FaultKernel::flock(int fd, int operation) {
  return pass(KernelCall::kFlock, fd, [&] { return inner_.flock(fd, operation); });
}

SysResult FaultKernel::read(int fd, void* buffer, std::size_t size) {
  return pass(KernelCall::kRead, fd, [&] { return inner_.read(fd, buffer, size); });
}

SysResult FaultKernel::write(int fd, const void* bytes, std::size_t size) {
  return pass(KernelCall::kWrite, fd, [&] { return inner_.write(fd, bytes, size); });
}

SysResult FaultKernel::pread(int fd, void* buffer, std::size_t size, std::int64_t offset) {
  return pass(KernelCall::kPread, fd,
              [&] { return inner_.pread(fd, buffer, std::min(size, recv_limit()), offset); });
}

SysResult FaultKernel::pipe(int ends[2], int flags) {
  return pass(KernelCall::kPipe, -1, [&] { return inner_.pipe(ends, flags); });
}

SysResult FaultKernel::sendfile(int to, int from, std::int64_t offset, std::size_t size) {
  return pass(KernelCall::kSendfile, to,
              [&] { return inner_.sendfile(to, from, offset, std::min(size, send_limit())); });
}

SysResult FaultKernel::splice(int from, int to, std::size_t size, unsigned flags) {
  return pass(KernelCall::kSplice, from,
              [&] { return inner_.splice(from, to, std::min(size, send_limit()), flags); });
}

SysResult FaultKernel::open(const char* path, int flags, unsigned mode) {
  return pass(KernelCall::kOpen, -1, [&] { return inner_.open(path, flags, mode); });
}

SysResult FaultKernel::lstat(const char* path, struct stat* status) {
  return pass(KernelCall::kLstat, -1, [&] { return inner_.lstat(path, status); });
}

SysResult FaultKernel::unlink(const char* path) {
  return pass(KernelCall::kUnlink, -1, [&] { return inner_.unlink(path); });
}

SysResult FaultKernel::eventfd(unsigned value, int flags) {
  return pass(KernelCall::kEventfd, -1, [&] { return inner_.eventfd(value, flags); });
}

SysResult FaultKernel::epoll_create(int flags) {
  return pass(KernelCall::kEpollCreate, -1, [&] { return inner_.epoll_create(flags); });
}

SysResult FaultKernel::epoll_ctl(int epfd, int operation, int fd, epoll_event* event) {
  return pass(KernelCall::kEpollCtl, epfd,
              [&] { return inner_.epoll_ctl(epfd, operation, fd, event); });
}

SysResult FaultKernel::epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  return pass(KernelCall::kEpollWait, epfd,
              [&] { return inner_.epoll_wait(epfd, events, capacity, timeout_ms); });
}

SysResult FaultKernel::epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                    const timespec* timeout) {
  if (const int error = pwait2_error(); error != 0) return SysResult::from_errno(error);
  return pass(KernelCall::kEpollWait, epfd,
              [&] { return inner_.epoll_pwait2(epfd, events, capacity, timeout); });
}

SysResult FaultKernel::ppoll(pollfd* fds, std::size_t count, const timespec* timeout) {
  return pass(KernelCall::kPoll, -1, [&] { return inner_.ppoll(fds, count, timeout); });
}

SysResult FaultKernel::pselect(int size, fd_set* readable, fd_set* writable, fd_set* priority,
                               const timespec* timeout) {
  return pass(KernelCall::kSelect, -1,
              [&] { return inner_.pselect(size, readable, writable, priority, timeout); });
}

SysResult FaultKernel::io_uring_setup(unsigned entries, io_uring_params* params) {
  return pass(KernelCall::kIoUringSetup, -1,
              [&] { return inner_.io_uring_setup(entries, params); });
}

SysResult FaultKernel::io_uring_enter(int ring, unsigned submit, unsigned min_complete,
                                      unsigned flags, const void* argument, std::size_t size) {
  return pass(KernelCall::kIoUringEnter, ring, [&] {
    return inner_.io_uring_enter(ring, submit, min_complete, flags, argument, size);
  });
}

SysResult FaultKernel::io_uring_register(int ring, unsigned operation, void* argument,
                                         unsigned count) {
  return pass(KernelCall::kIoUringRegister, ring,
              [&] { return inner_.io_uring_register(ring, operation, argument, count); });
}

SysResult FaultKernel::mmap(std::size_t size, int protection, int flags, int fd,
                            std::int64_t offset) {
  return pass(KernelCall::kMmap, fd,
              [&] { return inner_.mmap(size, protection, flags, fd, offset); });
}

SysResult FaultKernel::munmap(void* address, std::size_t size) {
  return pass(KernelCall::kMunmap, -1, [&] { return inner_.munmap(address, size); });
}

std::int64_t FaultKernel::now() {
  Call call{KernelCall::kClock, -1};
  enter(call);
  std::int64_t now = inner_.now();
  {
    absl::MutexLock lock(&mutex_);
    if (is_manual_clock_) now = manual_now_;
  }
  leave(call, SysResult(now));
  return now;
}

SysResult FaultKernel::park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                            std::int64_t timeout_ns) {
  return pass(KernelCall::kPark, -1, [&] { return inner_.park(word, expected, timeout_ns); });
}

SysResult FaultKernel::unpark(const std::atomic<std::uint32_t>& word, int count) {
  return pass(KernelCall::kUnpark, -1, [&] { return inner_.unpark(word, count); });
}

int FaultKernel::thread_id() {
  Call call{.kind = KernelCall::kThreadId, .fd = -1};
  (void)enter(call);
  return inner_.thread_id();
}

SysResult FaultKernel::set_batch_scheduling() {
  return pass(KernelCall::kSetScheduler, -1, [&] { return inner_.set_batch_scheduling(); });
}

SysResult FaultKernel::start_thread(const char* name, std::function<void()> body,
                                    std::uint64_t* id) {
  const auto begin = [this] {
    absl::MutexLock lock(&mutex_);
    ++threads_;
  };
  const auto end = [this] {
    absl::MutexLock lock(&mutex_);
    --threads_;
  };
  return pass(KernelCall::kThreadStart, -1, [&] {
    begin();
    auto whole = [body = std::move(body), end]() mutable {
      body();
      body = nullptr;
      end();
    };
    const SysResult started = inner_.start_thread(name, std::move(whole), id);
    if (!started.ok()) end();
    return started;
  });
}

SysResult FaultKernel::join_thread(std::uint64_t id) {
  bool is_passed = false;
  const SysResult result = pass(KernelCall::kThreadJoin, -1, [&] {
    is_passed = true;
    return inner_.join_thread(id);
  });
  if (!is_passed) (void)inner_.join_thread(id);  // ThreadSanitizer reports a thread that is left
  return result;
}

SysResult FaultKernel::detach_thread(std::uint64_t id) {
  return pass(KernelCall::kThreadDetach, -1, [&] { return inner_.detach_thread(id); });
}

int FaultKernel::resolve(const char* host, const char* service, const addrinfo* hints,
                         addrinfo** list) {
  Call call{KernelCall::kResolve, -1};
  const int error = enter(call);
  const int result = error != 0 ? error : inner_.resolve(host, service, hints, list);
  leave(call, SysResult(result));
  return result;
}

void FaultKernel::free_addresses(addrinfo* list) { inner_.free_addresses(list); }

SysResult FaultKernel::sigaction(int signal, const struct sigaction* action,
                                 struct sigaction* old) {
  return pass(KernelCall::kSigaction, -1, [&] { return inner_.sigaction(signal, action, old); });
}

SysResult FaultKernel::spawn(ProcessStart& start, int* pidfd) {
  return pass(KernelCall::kSpawn, -1, [&] { return inner_.spawn(start, pidfd); });
}

SysResult FaultKernel::waitid(int child, siginfo_t* info, int options) {
  return pass(KernelCall::kWaitid, child, [&] { return inner_.waitid(child, info, options); });
}

SysResult FaultKernel::pidfd_send_signal(int child, int signal) {
  return pass(KernelCall::kPidfdSendSignal, child,
              [&] { return inner_.pidfd_send_signal(child, signal); });
}

SysResult FaultKernel::kill(int process_or_group, int signal) {
  return pass(KernelCall::kKill, -1, [&] { return inner_.kill(process_or_group, signal); });
}

KernelCallCounts FaultKernel::counts() const { return inner_.counts(); }

}  // namespace epore
