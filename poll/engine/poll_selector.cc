#include "epore/poll/engine/poll_selector.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/statusor.h"
#include "epore/poll/engine/poll_flags.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/wait_ready.h"

namespace epore::internal {
namespace {

// Without memory the eventfd stays readable, and so the next wait() reports it once more. What this
// one has found is not lost.
void add_waker_to(std::vector<std::shared_ptr<const OwnedFd>>& wakers,
                  const std::shared_ptr<const OwnedFd>& waker) {
  try {
    wakers.push_back(waker);
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Selector>> PollSelector::create(Kernel& kernel) {
  const SysResult created = kernel.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (!created.ok()) return errno_status(created.error(), "eventfd(EFD_CLOEXEC | EFD_NONBLOCK)");
  OwnedFd owned(created.fd(), kernel);  // closes it if there is no memory below
  return absl::WrapUnique(new PollSelector(kernel, std::move(owned)));
}

PollSelector::PollSelector(Kernel& kernel, OwnedFd interrupt)
    : kernel_(kernel), interrupt_(std::move(interrupt)) {}

PollSelector::~PollSelector() = default;

SysResult PollSelector::add(int fd, Token token, Interest interest) {
  return insert(fd, Entry(token, interest));
}

SysResult PollSelector::add_waker(std::shared_ptr<const OwnedFd> fd, Token token) {
  const int number = fd->get();
  Entry entry(token, Interest::readable());
  entry.waker = std::move(fd);
  return insert(number, std::move(entry));
}

SysResult PollSelector::insert(int fd, Entry entry) {
  const SysResult identified = identify(kernel_, fd, entry.file);
  if (!identified.ok()) return identified;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = entries_.find(fd);
    // An entry with another identity belongs to a file that was closed without remove().
    if (found != entries_.end() && found->second.file == entry.file) {
      return SysResult::from_errno(EEXIST);
    }
    entry.serial = ++serial_;
    // The old entry is destroyed after the lock: it may hold the last pointer to an eventfd.
    std::swap(entries_.try_emplace(fd, entry).first->second, entry);
  }
  interrupt();
  return SysResult(0);
}

SysResult PollSelector::modify(int fd, Token token, Interest interest) {
  FileIdentity file;
  const SysResult identified = identify(kernel_, fd, file);
  if (!identified.ok()) return identified;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = entries_.find(fd);
    if (found == entries_.end() || found->second.file != file) {
      return SysResult::from_errno(ENOENT);
    }
    Entry& entry = found->second;
    entry.token = token;
    entry.interest = interest;
    entry.is_armed = true;
    entry.serial = ++serial_;
  }
  interrupt();
  return SysResult(0);
}

SysResult PollSelector::remove(int fd) {
  FileIdentity file;
  const SysResult identified = identify(kernel_, fd, file);
  // A number that names no file any more is forgotten: the next one may look like the old one.
  const bool is_closed = identified.error() == EBADF;
  if (!identified.ok() && !is_closed) return identified;
  decltype(entries_)::node_type removed;  // destroyed after the lock, for the same reason
  {
    absl::MutexLock lock(&mutex_);
    const auto found = entries_.find(fd);
    if (found == entries_.end() || (!is_closed && found->second.file != file)) {
      return is_closed ? identified : SysResult::from_errno(ENOENT);
    }
    removed = entries_.extract(found);
  }
  interrupt();  // a blocked poll(2) keeps the file open
  return is_closed ? identified : SysResult(0);
}

SysResult PollSelector::wait(Events& events, std::int64_t timeout_ns) {
  snapshot();
  timespec timeout;
  if (timeout_ns >= 0) {
    timeout.tv_sec = timeout_ns / 1'000'000'000;
    timeout.tv_nsec = timeout_ns % 1'000'000'000;
  }
  const SysResult ready = wait_ready(kernel_, fds_, timeout_ns >= 0 ? &timeout : nullptr);
  if (!ready.ok() || ready.value() == 0) return ready;
  if (fds_[0].revents != 0) drain(interrupt_.get());
  for (const auto& waker : collect(events)) drain(waker->get());
  // The table has changed, or the ready descriptors were removed from it. Ask to be called again.
  if (events.empty()) return SysResult::from_errno(EINTR);
  return SysResult(static_cast<std::int64_t>(events.size()));
}

void PollSelector::snapshot() {
  absl::MutexLock lock(&mutex_);
  fds_.assign(1, pollfd{interrupt_.get(), POLLIN, 0});
  serials_.assign(1, 0);
  for (const auto& [fd, entry] : entries_) {
    if (!entry.is_armed) continue;
    // As a level: an edge asks for urgent data, which would last.
    const std::uint32_t flags = to_poll_flags(entry.interest.level());
    fds_.push_back(pollfd{fd, static_cast<short>(flags), 0});
    serials_.push_back(entry.serial);
  }
}

std::vector<std::shared_ptr<const OwnedFd>> PollSelector::collect(Events& events) {
  std::vector<std::shared_ptr<const OwnedFd>> wakers;
  absl::MutexLock lock(&mutex_);
  const std::size_t others = fds_.size() - 1;
  const auto first = std::lower_bound(fds_.begin() + 1, fds_.end(), next_fd_,
                                      [](const pollfd& a, int fd) { return a.fd < fd; });
  std::size_t i = static_cast<std::size_t>(first - fds_.begin());
  for (std::size_t seen = 0; seen < others; ++seen, ++i) {
    if (i == fds_.size()) i = 1;
    if (events.size() == events.capacity()) {
      next_fd_ = fds_[i].fd;
      break;
    }
    if (fds_[i].revents == 0) continue;
    const auto found = entries_.find(fds_[i].fd);
    if (found == entries_.end() || found->second.serial != serials_[i]) continue;
    Entry& entry = found->second;
    if (entry.waker != nullptr) add_waker_to(wakers, entry.waker);
    if (fds_[i].revents & POLLNVAL) {  // closed without remove(): epoll forgets it as well
      entries_.erase(found);
      continue;
    }
    if (entry.interest.trigger() == Trigger::one_shot) entry.is_armed = false;
    events.push_back(
        Event{entry.token, to_readiness(static_cast<unsigned short>(fds_[i].revents))});
  }
  return wakers;
}

void PollSelector::interrupt() {
  const std::uint64_t one = 1;
  (void)kernel_.write(interrupt_.get(), &one, sizeof one);  // EAGAIN: already readable
}

void PollSelector::drain(int fd) {
  std::uint64_t count;
  (void)kernel_.read(fd, &count, sizeof count);
}

}  // namespace epore::internal
