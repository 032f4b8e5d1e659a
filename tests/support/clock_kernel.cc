#include "tests/support/clock_kernel.h"

#include <linux/io_uring.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "absl/log/check.h"

namespace epore {
namespace {

std::int64_t to_nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

// A descriptor that becomes readable with each advance() from set() on.
class ClockKernel::Alarm {
 public:
  explicit Alarm(ClockKernel& kernel) : kernel_(kernel), fd_(::eventfd(0, EFD_CLOEXEC)) {
    PCHECK(fd_ >= 0);
  }
  ~Alarm() {
    {
      absl::MutexLock lock(&kernel_.mutex_);
      std::erase(kernel_.alarms_, fd_);
    }
    ::close(fd_);
  }

  // False, and not set: the timeout is not exact.
  bool set() {
    absl::MutexLock lock(&kernel_.mutex_);
    if (!kernel_.is_timeout_exact()) return false;
    kernel_.alarms_.push_back(fd_);
    return true;
  }

  // Waits until the clock has moved or one of `fds` is ready; true for the latter.
  bool wait(std::vector<pollfd> fds) {
    fds.push_back(pollfd{fd_, POLLIN, 0});
    while (::poll(fds.data(), fds.size(), -1) < 0) PCHECK(errno == EINTR);
    std::uint64_t count;
    if (fds.back().revents != 0) PCHECK(::read(fd_, &count, sizeof count) == sizeof count);
    return std::any_of(fds.begin(), fds.end() - 1, [](const pollfd& f) { return f.revents != 0; });
  }

 private:
  ClockKernel& kernel_;
  const int fd_;
};

void ClockKernel::advance(absl::Duration by) {
  absl::MutexLock lock(&mutex_);
  // Clock and count in one step: a wait that begins in between would take its timeout for exact and
  // count it from the new time.
  FaultKernel::advance(by);
  ++advances_;
  const std::uint64_t one = 1;
  for (int fd : alarms_) PCHECK(::write(fd, &one, sizeof one) == sizeof one);
}

void ClockKernel::await_waiters(std::size_t count) {
  absl::MutexLock lock(&mutex_);
  const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return alarms_.size() >= count; };
  mutex_.Await(absl::Condition(&have));
}

std::int64_t ClockKernel::now() {
  {
    absl::MutexLock lock(&mutex_);
    advances_seen_.emplace(std::this_thread::get_id(), advances_);
  }
  return FaultKernel::now();
}

bool ClockKernel::is_timeout_exact() {
  const auto seen = advances_seen_.extract(std::this_thread::get_id());
  return seen.empty() || seen.mapped() == advances_;
}

SysResult ClockKernel::epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  if (timeout_ms <= 0) return FaultKernel::epoll_wait(epfd, events, capacity, timeout_ms);
  return wait_for_queue(epfd, events, capacity, std::int64_t{timeout_ms} * 1'000'000);
}

SysResult ClockKernel::epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                    const timespec* timeout) {
  if (timeout == nullptr || to_nanoseconds(*timeout) == 0) {
    return FaultKernel::epoll_pwait2(epfd, events, capacity, timeout);
  }
  return wait_for_queue(epfd, events, capacity, to_nanoseconds(*timeout));
}

SysResult ClockKernel::wait_for_queue(int epfd, epoll_event* events, int capacity,
                                      std::int64_t timeout_ns) {
  Alarm alarm(*this);
  const std::int64_t deadline = FaultKernel::now() + timeout_ns;
  if (!alarm.set()) return SysResult(0);
  begin_timed_wait(timeout_ns);
  bool is_ready = false;
  do {
    is_ready = alarm.wait({pollfd{epfd, POLLIN, 0}});
  } while (!is_ready && FaultKernel::now() < deadline);
  // An event that another wait took meanwhile is an early end, as by a signal.
  const SysResult result = FaultKernel::epoll_wait(epfd, events, capacity, 0);
  return is_ready && result.value() == 0 ? SysResult::from_errno(EINTR) : result;
}

SysResult ClockKernel::ppoll(pollfd* fds, std::size_t count, const timespec* timeout) {
  if (timeout == nullptr || to_nanoseconds(*timeout) == 0) {
    return FaultKernel::ppoll(fds, count, timeout);
  }
  Alarm alarm(*this);
  const std::int64_t deadline = FaultKernel::now() + to_nanoseconds(*timeout);
  const timespec at_once = {0, 0};
  if (!alarm.set()) return SysResult(0);
  begin_timed_wait(to_nanoseconds(*timeout));
  bool is_ready = false;
  do {
    is_ready = alarm.wait(std::vector<pollfd>(fds, fds + count));
  } while (!is_ready && FaultKernel::now() < deadline);
  const SysResult result = FaultKernel::ppoll(fds, count, &at_once);
  return is_ready && result.value() == 0 ? SysResult::from_errno(EINTR) : result;
}

SysResult ClockKernel::io_uring_enter(int ring, unsigned submit, unsigned min_complete,
                                      unsigned flags, const void* argument, std::size_t size) {
  const auto* const wait = static_cast<const io_uring_getevents_arg*>(argument);
  if (wait == nullptr || wait->ts == 0) {
    return FaultKernel::io_uring_enter(ring, submit, min_complete, flags, argument, size);
  }
  const std::int64_t timeout_ns = to_nanoseconds(*reinterpret_cast<const timespec*>(wait->ts));
  Alarm alarm(*this);
  const std::int64_t deadline = FaultKernel::now() + timeout_ns;
  if (!alarm.set()) return SysResult::from_errno(ETIME);
  begin_timed_wait(timeout_ns);
  const auto look = [&](unsigned to_submit) {
    return FaultKernel::io_uring_enter(ring, to_submit, 0, IORING_ENTER_GETEVENTS, nullptr, 0);
  };
  // The ring itself does not become readable when the kernel puts work off until the next enter. It
  // is readable from the beginning where a call has left work, of which the eventfd says nothing.
  int news = ::eventfd(0, EFD_CLOEXEC);
  PCHECK(news >= 0);
  PCHECK(::syscall(SYS_io_uring_register, ring, IORING_REGISTER_EVENTFD, &news, 1) == 0);
  SysResult looked = look(submit);
  bool is_ready = false;
  while (looked.ok() && !is_ready && FaultKernel::now() < deadline) {
    is_ready = alarm.wait({pollfd{news, POLLIN, 0}, pollfd{ring, POLLIN, 0}});
  }
  if (looked.ok()) looked = look(0);
  PCHECK(::syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_EVENTFD, nullptr, 0) == 0);
  ::close(news);
  return is_ready || !looked.ok() ? looked : SysResult::from_errno(ETIME);
}

SysResult ClockKernel::park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                            std::int64_t timeout_ns) {
  if (timeout_ns < 0) return FaultKernel::park(word, expected, timeout_ns);
  absl::MutexLock lock(&mutex_);
  if (!is_timeout_exact()) return SysResult::from_errno(EINTR);
  begin_timed_wait(timeout_ns);
  const std::uint64_t advances = advances_;
  const std::uint64_t unparks = unparks_;
  // Early ends are allowed, and the caller looks at the clock again.
  const auto is_over = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return advances_ != advances || unparks_ != unparks ||
           word.load(std::memory_order_acquire) != expected;
  };
  mutex_.Await(absl::Condition(&is_over));
  return SysResult(0);
}

SysResult ClockKernel::unpark(const std::atomic<std::uint32_t>& word, int count) {
  {
    absl::MutexLock lock(&mutex_);
    ++unparks_;
  }
  return FaultKernel::unpark(word, count);
}

}  // namespace epore
