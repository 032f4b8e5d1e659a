#include "tests/support/spurious_kernel.h"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <span>

namespace epore {

SysResult SpuriousKernel::epoll_ctl(int epfd, int operation, int fd, epoll_event* event) {
  if (event != nullptr) {
    absl::MutexLock lock(&mutex_);
    if (std::find(tokens_.begin(), tokens_.end(), event->data.u64) == tokens_.end()) {
      tokens_.push_back(event->data.u64);
    }
  }
  return FaultKernel::epoll_ctl(epfd, operation, fd, event);
}

SysResult SpuriousKernel::epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  return add_spurious(FaultKernel::epoll_wait(epfd, events, capacity, timeout_ms), events,
                      capacity);
}

SysResult SpuriousKernel::epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                       const timespec* timeout) {
  return add_spurious(FaultKernel::epoll_pwait2(epfd, events, capacity, timeout), events, capacity);
}

SysResult SpuriousKernel::ppoll(pollfd* fds, std::size_t count, const timespec* timeout) {
  const SysResult real = FaultKernel::ppoll(fds, count, timeout);
  if (real.value() <= 0) return real;
  std::int64_t ready = 0;
  absl::MutexLock lock(&mutex_);
  for (pollfd& fd : std::span(fds, count)) {
    if (fd.revents == 0 && toss()) {
      fd.revents = static_cast<short>(fd.events & (POLLIN | POLLOUT));
      ++spurious_;
    }
    if (fd.revents != 0) ++ready;
  }
  return SysResult(ready);
}

SysResult SpuriousKernel::add_spurious(SysResult real, epoll_event* events, int capacity) {
  if (real.value() <= 0) return real;
  std::int64_t count = real.value();
  absl::MutexLock lock(&mutex_);
  for (std::uint64_t token : tokens_) {
    if (count == capacity) break;
    if (!toss()) continue;
    epoll_event& made_up = events[count++];
    made_up.events = EPOLLIN | EPOLLOUT;
    made_up.data.u64 = token;
    ++spurious_;
  }
  return SysResult(count);
}

bool SpuriousKernel::toss() {
  seed_ = seed_ * 1664525u + 1013904223u;
  return (seed_ >> 16) % 10 < 3;
}

std::uint64_t SpuriousKernel::spurious() const {
  absl::MutexLock lock(&mutex_);
  return spurious_;
}

}  // namespace epore
