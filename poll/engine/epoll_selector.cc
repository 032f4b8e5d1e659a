#include "epore/poll/engine/epoll_selector.h"

#include <sys/epoll.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/statusor.h"
#include "epore/poll/engine/poll_flags.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::internal {
namespace {

std::uint32_t to_epoll(Interest interest) {
  std::uint32_t flags = to_poll_flags(interest);
  if (interest.trigger() == Trigger::edge) flags |= EPOLLET;
  if (interest.trigger() == Trigger::one_shot) flags |= EPOLLONESHOT;
  return flags;
}

// Rounds up, so that no wait is shorter than asked.
std::int64_t to_milliseconds(std::int64_t timeout_ns) {
  if (timeout_ns < 0) return -1;
  return timeout_ns / 1'000'000 + (timeout_ns % 1'000'000 != 0 ? 1 : 0);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Selector>> EpollSelector::create(Kernel& kernel) {
  const SysResult created = kernel.epoll_create(EPOLL_CLOEXEC);
  if (!created.ok()) return errno_status(created.error(), "epoll_create1(EPOLL_CLOEXEC)");
  OwnedFd owned(created.fd(), kernel);  // closes it if there is no memory below
  return absl::WrapUnique(new EpollSelector(kernel, std::move(owned)));
}

EpollSelector::EpollSelector(Kernel& kernel, OwnedFd epoll)
    : kernel_(kernel), epoll_(std::move(epoll)) {}

SysResult EpollSelector::add(int fd, Token token, Interest interest) {
  return control(EPOLL_CTL_ADD, fd, token, interest);
}

SysResult EpollSelector::modify(int fd, Token token, Interest interest) {
  return control(EPOLL_CTL_MOD, fd, token, interest);
}

SysResult EpollSelector::remove(int fd) {
  return kernel_.epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

SysResult EpollSelector::add_waker(std::shared_ptr<const OwnedFd> fd, Token token) {
  // Every write to an eventfd is an edge, so nobody has to read it.
  return control(EPOLL_CTL_ADD, fd->get(), token, Interest::readable());
}

SysResult EpollSelector::control(int operation, int fd, Token token, Interest interest) {
  epoll_event event = {};
  event.events = to_epoll(interest);
  event.data.u64 = token.value;
  return kernel_.epoll_ctl(epoll_.get(), operation, fd, &event);
}

SysResult EpollSelector::wait(Events& events, std::int64_t timeout_ns) {
  const int capacity = static_cast<int>(std::min<std::size_t>(events.capacity(), INT_MAX / 16));
  auto* ready = static_cast<epoll_event*>(events.scratch(sizeof(epoll_event)));
  const SysResult count = wait(ready, capacity, timeout_ns);
  for (std::int64_t i = 0; i < count.value(); ++i) {
    events.push_back(Event{Token{ready[i].data.u64}, to_readiness(ready[i].events)});
  }
  return count;
}

SysResult EpollSelector::wait(epoll_event* ready, int capacity, std::int64_t timeout_ns) {
  // epoll_pwait2(2) came with Linux 5.11. A seccomp filter that does not know it may refuse it with
  // any errno (buytenh/ivykis#33). An errno about the arguments comes again from epoll_wait(2).
  //
  // Zero and "for ever" need no rounding, so epoll_wait(2) is exact for them.
  if (timeout_ns > 0 && has_pwait2_.load(std::memory_order_relaxed)) {
    timespec timeout;
    timeout.tv_sec = timeout_ns / 1'000'000'000;
    timeout.tv_nsec = timeout_ns % 1'000'000'000;
    const SysResult count = kernel_.epoll_pwait2(epoll_.get(), ready, capacity, &timeout);
    if (count.ok() || count.error() == EINTR) return count;
    has_pwait2_.store(false, std::memory_order_relaxed);
  }
  const std::int64_t ms = to_milliseconds(timeout_ns);
  const int part = static_cast<int>(std::min<std::int64_t>(ms, INT_MAX));
  const SysResult count = kernel_.epoll_wait(epoll_.get(), ready, capacity, part);
  // An int of milliseconds holds 24.8 days. EINTR makes the caller wait for the rest.
  return count.value() == 0 && part < ms ? SysResult::from_errno(EINTR) : count;
}

}  // namespace epore::internal
