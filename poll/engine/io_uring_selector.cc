#include "epore/poll/engine/io_uring_selector.h"

#include <linux/io_uring.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/engine/poll_flags.h"
#include "epore/poll/errno_of.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::internal {
namespace {

constexpr std::uint8_t kSkipSuccess = 1u << 6;  // IOSQE_CQE_SKIP_SUCCESS, Linux 5.17

// What comes back with a completion: the descriptor and the number of the poll, which is never 0. A
// completion of a poll that was replaced has another number than its slot.
std::uint64_t key_of(int fd, std::uint32_t number) {
  return std::uint64_t{number} << 32 | static_cast<std::uint32_t>(fd);
}

// A multishot poll reports changes only. A level is reported again by a new poll, which looks at
// the file first, so one shot is enough. But the kernel adds POLLRDHUP to every poll, asked for or
// not. Who asks for writable alone must not get a new poll for each of these.
bool is_multishot(Interest interest) {
  return interest.trigger() == Trigger::edge || !interest.is_readable();
}

// When a ring has gone, the kernel interrupts each thread that has made or used it, once: a call
// that blocks may then fail with EINTR (io_ring_exit_work of the kernel). The creator of a Poll may
// be a thread that knows nothing of rings. So a thread that ends at once makes the first ring.
absl::StatusOr<std::unique_ptr<IoUringRing>> make_ring_elsewhere(Kernel& kernel) {
  struct Made {
    absl::StatusOr<std::unique_ptr<IoUringRing>> ring;
    std::atomic<std::uint32_t> is_done{0};  // 1, release: `ring` is there; the creator acquires
  };
  const auto made = std::make_shared<Made>();
  const auto make = [&kernel, made] {
    made->ring = IoUringRing::create(kernel);
    made->is_done.store(1, std::memory_order_release);
    (void)kernel.unpark(made->is_done, 1);
  };
  std::uint64_t thread = 0;
  const SysResult started = kernel.start_thread("epore-ring", make, &thread);
  if (!started.ok()) return errno_status(started.error(), "starting a thread for io_uring_setup");
  while (made->is_done.load(std::memory_order_acquire) == 0) {
    (void)kernel.park(made->is_done, 0, -1);
  }
  if (!kernel.join_thread(thread).ok()) (void)kernel.detach_thread(thread);
  return std::move(made->ring);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Selector>> IoUringSelector::create(Kernel& kernel) {
  absl::StatusOr<std::unique_ptr<IoUringRing>> ring = make_ring_elsewhere(kernel);
  if (!ring.ok()) return ring.status();
  const SysResult created = kernel.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (!created.ok()) return errno_status(created.error(), "eventfd(EFD_CLOEXEC | EFD_NONBLOCK)");
  OwnedFd owned(created.fd(), kernel);  // closes it if there is no memory below
  const int interrupt = owned.get();
  auto made = absl::WrapUnique(new IoUringSelector(kernel, std::move(owned), *std::move(ring)));
  const SysResult added = made->add(interrupt, Token{0}, Interest::readable());
  if (!added.ok()) return errno_status(added.error(), "fstat");
  return made;
}

IoUringSelector::IoUringSelector(Kernel& kernel, OwnedFd interrupt,
                                 std::unique_ptr<IoUringRing> ring)
    : kernel_(kernel), interrupt_(std::move(interrupt)), ring_(std::move(ring)) {}

SysResult IoUringSelector::add(int fd, Token token, Interest interest) {
  Identity identity;
  const SysResult identified = identify(fd, identity);
  if (!identified.ok()) return identified;
  bool is_sleeping = false;
  {
    absl::MutexLock lock(&mutex_);
    // A slot with another identity belongs to a file that was closed without remove().
    if (has(fd, identity)) return SysResult::from_errno(EEXIST);
    const auto index = static_cast<std::size_t>(fd);
    if (index >= slots_.size()) slots_.resize(index + 1);
    slots_[index].identity = identity;
    set(fd, token, interest);
    is_sleeping = std::exchange(is_sleeping_, false);
  }
  interrupt_sleeper(is_sleeping);
  return SysResult(0);
}

SysResult IoUringSelector::add_waker(std::shared_ptr<const OwnedFd> fd, Token token) {
  // Every write to an eventfd is a change, so nobody has to read it.
  return add(fd->get(), token, Interest::readable());
}

SysResult IoUringSelector::modify(int fd, Token token, Interest interest) {
  Identity identity;
  const SysResult identified = identify(fd, identity);
  if (!identified.ok()) return identified;
  bool is_sleeping = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!has(fd, identity)) return SysResult::from_errno(ENOENT);
    set(fd, token, interest);
    is_sleeping = std::exchange(is_sleeping_, false);
  }
  interrupt_sleeper(is_sleeping);
  return SysResult(0);
}

SysResult IoUringSelector::remove(int fd) {
  Identity identity;
  const SysResult identified = identify(fd, identity);
  if (!identified.ok()) return identified;
  bool is_sleeping = false;
  std::shared_ptr<IoUringRing> ring;
  {
    absl::MutexLock lock(&mutex_);
    if (!has(fd, identity)) return SysResult::from_errno(ENOENT);
    slots_[static_cast<std::size_t>(fd)].is_registered = false;
    retire(fd);
    is_sleeping = std::exchange(is_sleeping_, false);
    if (owner_ == std::this_thread::get_id() && !is_waiting_) ring = ring_;
  }
  interrupt_sleeper(is_sleeping);
  // The owner lets go of the file at once, so that a port is free when its listener is closed. If
  // this fails, the next wait() does it.
  if (ring != nullptr && submit_changes(*ring, false).ok()) (void)ring->enter(0, 0);
  return SysResult(0);
}

SysResult IoUringSelector::wait(Events& events, std::int64_t timeout_ns) {
  std::shared_ptr<IoUringRing> ring;
  if (const SysResult owned = own_ring(ring); !owned.ok()) return owned;
  const bool may_sleep = timeout_ns != 0 && ring->front() == nullptr;
  SysResult entered = submit_changes(*ring, may_sleep);
  bool has_news = false;
  do {
    if (entered.ok()) entered = ring->enter(may_sleep ? 1 : 0, timeout_ns);
    has_news = collect(*ring, events) || ring->has_more();
    // Without a timeout, completions of polls that have been replaced must not hide others.
  } while (entered.ok() && events.empty() && has_news && timeout_ns == 0);
  // The kernel had no memory for completions, or the owner has ended and this thread has got its
  // id. A new ring reports everything that is ready again.
  const bool is_lost = entered.error() == EBADR || entered.error() == EEXIST;
  {
    absl::MutexLock lock(&mutex_);
    is_waiting_ = false;
    if (is_lost) ring_ = nullptr;
  }
  if (!events.empty()) return SysResult(static_cast<std::int64_t>(events.size()));
  if (is_lost) return SysResult::from_errno(EINTR);
  switch (entered.error()) {
    case ETIME:
      return SysResult(0);
    case 0:
    case EAGAIN:  // no memory for operations, which stay in the queue
    case EBUSY:   // so many completions wait in the kernel that it takes no operation
    case EINTR:
      return timeout_ns == 0 ? SysResult(0) : SysResult::from_errno(EINTR);
    default:
      return entered;
  }
}

SysResult IoUringSelector::own_ring(std::shared_ptr<IoUringRing>& ring) {
  const std::thread::id self = std::this_thread::get_id();
  bool is_new = false;
  std::shared_ptr<IoUringRing> old;  // closed behind the lock
  {
    absl::MutexLock lock(&mutex_);
    is_new = ring_ != nullptr && owner_ == std::thread::id();
    if (is_new || owner_ == self) ring = ring_;
    old = std::exchange(ring_, nullptr);
    owner_ = self;
  }
  old = nullptr;  // first, so that its descriptor is free for the new one
  if (ring == nullptr) {
    absl::StatusOr<std::unique_ptr<IoUringRing>> made = IoUringRing::create(kernel_);
    if (!made.ok()) return SysResult::from_errno(errno_of(made.status()));
    ring = *std::move(made);
    is_new = true;
    absl::MutexLock lock(&mutex_);
    for (std::size_t fd = 0; fd < slots_.size(); ++fd) {
      slots_[fd].armed = slots_[fd].retired = 0;
      if (slots_[fd].is_registered) queue(static_cast<int>(fd));
    }
  }
  if (is_new) {
    if (const SysResult enabled = ring->enable(); !enabled.ok()) return enabled;
  }
  absl::MutexLock lock(&mutex_);
  ring_ = ring;
  is_waiting_ = true;
  return SysResult(0);
}

SysResult IoUringSelector::submit_changes(IoUringRing& ring, bool may_sleep) {
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      if (ring_.get() != &ring) return SysResult::from_errno(EINTR);  // another thread has come
      while (first_ != kNone && ring.room() >= 2) {
        const int fd = first_;
        Slot& slot = slots_[static_cast<std::size_t>(fd)];
        first_ = slot.next;
        slot.is_queued = false;
        change(ring, fd, slot);
      }
      if (first_ == kNone) {
        is_sleeping_ = may_sleep;
        return SysResult(0);
      }
    }
    const SysResult submitted = ring.enter(0, 0);
    if (!submitted.ok()) return submitted;
  }
}

// Brings the kernel's polls to what the slot says. Requires room for two operations.
void IoUringSelector::change(IoUringRing& ring, int fd, Slot& slot) {
  if (slot.retired != 0) {
    // IORING_OP_POLL_REMOVE fails with EALREADY while a wake of the poll is on its way, and leaves
    // it armed. This one marks the poll, and it ends with that wake.
    io_uring_sqe& cancel = ring.add();
    cancel.opcode = IORING_OP_ASYNC_CANCEL;
    cancel.flags = kSkipSuccess;
    cancel.addr = key_of(fd, slot.retired);
    cancel.user_data = key_of(fd, 0);
    slot.retired = 0;
  }
  if (!slot.is_registered || slot.is_silent) return;
  if (++number_ == 0) ++number_;
  slot.armed = number_;
  io_uring_sqe& poll = ring.add();
  poll.opcode = IORING_OP_POLL_ADD;
  poll.fd = fd;
  poll.poll32_events = to_poll_flags(slot.interest);
  poll.len = is_multishot(slot.interest) ? IORING_POLL_ADD_MULTI : 0;
  poll.user_data = key_of(fd, number_);
}

bool IoUringSelector::collect(IoUringRing& ring, Events& events) {
  absl::MutexLock lock(&mutex_);
  is_sleeping_ = false;
  bool has_news = false;
  while (events.size() < events.capacity()) {
    const io_uring_cqe* const done = ring.front();
    if (done == nullptr) break;
    has_news = true;
    const int fd = static_cast<int>(done->user_data & 0xffff'ffff);
    const auto number = static_cast<std::uint32_t>(done->user_data >> 32);
    Slot& slot = slots_[static_cast<std::size_t>(fd)];
    if (number != 0 && slot.armed == number) {
      take(fd, slot, done->res, (done->flags & IORING_CQE_F_MORE) == 0, events);
    }
    ring.pop();
  }
  return has_news;
}

void IoUringSelector::take(int fd, Slot& slot, int result, bool is_last, Events& events) {
  if (is_last) slot.armed = 0;
  if (result == -EBADF) {  // closed without remove(): epoll forgets it as well
    slot.is_registered = false;
    return;
  }
  // The kernel ends a multishot poll when its queue is full or memory is short. Then, and for a
  // level, the next wait() arms a new one.
  const bool is_edge = slot.interest.trigger() == Trigger::edge;
  std::uint32_t flags = to_poll_flags(slot.interest) | POLLERR | POLLHUP;
  if (result >= 0) {
    flags &= static_cast<std::uint32_t>(result);
  } else {
    flags = result == -ECANCELED ? 0 : POLLERR;
  }
  if (is_last) queue(fd);
  if (flags == 0 || fd == interrupt_.get()) return;
  if (slot.interest.trigger() == Trigger::one_shot) slot.is_silent = true;
  if (!is_edge) retire(fd);
  events.push_back(Event{slot.token, to_readiness(flags)});
}

bool IoUringSelector::has(int fd, const Identity& identity) const {
  const auto index = static_cast<std::size_t>(fd);
  return index < slots_.size() && slots_[index].is_registered && slots_[index].identity == identity;
}

void IoUringSelector::set(int fd, Token token, Interest interest) {
  Slot& slot = slots_[static_cast<std::size_t>(fd)];
  slot.token = token;
  slot.interest = interest;
  slot.is_registered = true;
  slot.is_silent = false;
  retire(fd);
}

// Lets the next wait() cancel the poll, and arm another one if the slot still asks for something.
// Completions of the old one are dropped from here on.
void IoUringSelector::retire(int fd) {
  Slot& slot = slots_[static_cast<std::size_t>(fd)];
  if (slot.armed != 0) slot.retired = std::exchange(slot.armed, 0);
  queue(fd);
}

void IoUringSelector::queue(int fd) {
  Slot& slot = slots_[static_cast<std::size_t>(fd)];
  if (std::exchange(slot.is_queued, true)) return;
  slot.next = kNone;
  (first_ == kNone ? first_ : slots_[static_cast<std::size_t>(last_)].next) = fd;
  last_ = fd;
}

SysResult IoUringSelector::identify(int fd, Identity& identity) {
  struct stat status;
  const SysResult found = kernel_.fstat(fd, &status);
  if (!found.ok()) return found;
  // Files and directories are always ready, and epoll_ctl(2) refuses them.
  if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) return SysResult::from_errno(EPERM);
  identity = Identity{status.st_dev, status.st_ino};
  return SysResult(0);
}

void IoUringSelector::interrupt_sleeper(bool is_sleeping) {
  const std::uint64_t one = 1;
  if (is_sleeping) (void)kernel_.write(interrupt_.get(), &one, sizeof one);
}

}  // namespace epore::internal
