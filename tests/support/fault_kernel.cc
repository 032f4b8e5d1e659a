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

FaultKernel::FaultKernel(Kernel& inner) : PassingKernel(inner) {}
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
  const std::int64_t start = inner().now();
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

SysResult FaultKernel::pass(KernelCall kind, int fd, absl::FunctionRef<SysResult()> make) {
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

SysResult FaultKernel::recv(int fd, void* buffer, std::size_t size, int flags) {
  return PassingKernel::recv(fd, buffer, std::min(size, recv_limit()), flags);
}

SysResult FaultKernel::send(int fd, const void* bytes, std::size_t size, int flags) {
  return PassingKernel::send(fd, bytes, std::min(size, send_limit()), flags);
}

SysResult FaultKernel::sendmsg(int fd, const msghdr* message, int flags) {
  std::vector<iovec> pieces = first_bytes(*message, send_limit());
  msghdr shrunk = *message;
  shrunk.msg_iov = pieces.data();
  shrunk.msg_iovlen = pieces.size();
  return PassingKernel::sendmsg(fd, &shrunk, flags);
}

SysResult FaultKernel::recvmsg(int fd, msghdr* message, int flags) {
  std::vector<iovec> pieces = first_bytes(*message, recv_limit());
  iovec* const all = std::exchange(message->msg_iov, pieces.data());
  const auto count = std::exchange(message->msg_iovlen, pieces.size());
  const SysResult result = PassingKernel::recvmsg(fd, message, flags);
  message->msg_iov = all;
  message->msg_iovlen = count;
  return result;
}

SysResult FaultKernel::pread(int fd, void* buffer, std::size_t size, std::int64_t offset) {
  return PassingKernel::pread(fd, buffer, std::min(size, recv_limit()), offset);
}

SysResult FaultKernel::sendfile(int to, int from, std::int64_t offset, std::size_t size) {
  return PassingKernel::sendfile(to, from, offset, std::min(size, send_limit()));
}

SysResult FaultKernel::splice(int from, int to, std::size_t size, unsigned flags) {
  return PassingKernel::splice(from, to, std::min(size, send_limit()), flags);
}

SysResult FaultKernel::epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                    const timespec* timeout) {
  if (const int error = pwait2_error(); error != 0) return SysResult::from_errno(error);
  return PassingKernel::epoll_pwait2(epfd, events, capacity, timeout);
}

std::int64_t FaultKernel::now() {
  Call call{KernelCall::kClock, -1};
  enter(call);
  std::int64_t now = inner().now();
  {
    absl::MutexLock lock(&mutex_);
    if (is_manual_clock_) now = manual_now_;
  }
  leave(call, SysResult(now));
  return now;
}

int FaultKernel::thread_id() {
  Call call{.kind = KernelCall::kThreadId, .fd = -1};
  (void)enter(call);
  return inner().thread_id();
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
    const SysResult started = inner().start_thread(name, std::move(whole), id);
    if (!started.ok()) end();
    return started;
  });
}

SysResult FaultKernel::join_thread(std::uint64_t id) {
  bool is_passed = false;
  const SysResult result = pass(KernelCall::kThreadJoin, -1, [&] {
    is_passed = true;
    return inner().join_thread(id);
  });
  if (!is_passed) (void)inner().join_thread(id);  // ThreadSanitizer reports a thread that is left
  return result;
}

int FaultKernel::resolve(const char* host, const char* service, const addrinfo* hints,
                         addrinfo** list) {
  Call call{KernelCall::kResolve, -1};
  const int error = enter(call);
  const int result = error != 0 ? error : inner().resolve(host, service, hints, list);
  leave(call, SysResult(result));
  return result;
}

}  // namespace epore
