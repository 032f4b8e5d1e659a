#include "epore/poll/engine/io_uring_selector.h"

#include <linux/io_uring.h>
#include <sys/eventfd.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/engine/poll_flags.h"
#include "epore/poll/errno_of.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/or_enomem.h"

namespace epore::internal {
namespace {

// Linux 6.13 and later do the work of 20 operations in a call (IO_LOCAL_TW_DEFAULT_MAX), which may
// all be polls that end as they were cancelled. A batch that is not full must have everything that
// is ready. So wait() asks for more behind so many completions; others of the 20 may bring none.
constexpr std::size_t kManyCompletions = 10;

constexpr std::uint8_t kSkipSuccess = 1u << 6;  // IOSQE_CQE_SKIP_SUCCESS, Linux 5.17

// What comes back with a completion: the descriptor and the number of the poll, which is never 0. A
// completion of a poll that was replaced has another number than its slot. Bit 31 is 0, which it is
// not in those of the CompletionQueue.
std::uint64_t key_of(int fd, std::uint32_t number) {
  return std::uint64_t{number} << 32 | static_cast<std::uint32_t>(fd);
}

// When a ring has gone, the kernel interrupts each thread that has made or used it, once: a call
// that blocks may then fail with EINTR (io_ring_exit_work of the kernel). The creator of a Poll may
// be a thread that knows nothing of rings. So a thread that ends at once makes the first ring.
absl::StatusOr<std::unique_ptr<IoUringRing>> make_ring_elsewhere(Kernel& kernel) {
  const auto made = std::make_shared<absl::StatusOr<std::unique_ptr<IoUringRing>>>();
  std::uint64_t thread = 0;
  const SysResult started = kernel.start_thread(
      "epore-ring",
      [&kernel, made] {
        *made = or_enomem("io_uring_setup", [&kernel] { return IoUringRing::create(kernel); });
      },
      &thread);
  if (!started.ok()) return errno_status(started.error(), "starting a thread for io_uring_setup");
  const SysResult joined = kernel.join_thread(thread);
  if (!joined.ok()) return errno_status(joined.error(), "joining that thread");
  return std::move(*made);
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

SysResult IoUringSelector::add_waker(std::shared_ptr<const OwnedFd> fd, Token token) {
  // Every write to an eventfd is a change, so nobody has to read it.
  return add(fd->get(), token, Interest::readable());
}

SysResult IoUringSelector::apply(Change change, int fd, Token token, Interest interest) {
  FileIdentity file;
  if (const SysResult found = identify(kernel_, fd, file); !found.ok()) {
    if (change == Change::remove && found.error() == EBADF) forget(fd);
    return found;
  }
  bool is_sleeping = false;
  bool is_of_owner = false;
  {
    absl::MutexLock lock(&mutex_);
    if (static_cast<std::size_t>(fd) >= slots_.size()) {
      if (change != Change::add) return SysResult::from_errno(ENOENT);
      const std::size_t size = static_cast<std::size_t>(fd) + 1;
      changed_.reserve(std::bit_ceil(size));  // retire() needs no memory
      slots_.resize(size);
    }
    Slot& found = slot(fd);
    // A slot with another identity belongs to a file that was closed without remove().
    const bool is_known = found.is_registered && found.file == file;
    if (is_known == (change == Change::add)) {
      return SysResult::from_errno(is_known ? EEXIST : ENOENT);
    }
    found.file = file;
    found.token = token;
    found.interest = interest;
    found.is_registered = change != Change::remove;
    found.is_silent = false;
    retire(fd);
    is_sleeping = std::exchange(is_sleeping_, false);
    is_of_owner = change == Change::remove && owner_ == std::this_thread::get_id();
  }
  const std::uint64_t one = 1;
  if (is_sleeping) (void)kernel_.write(interrupt_.get(), &one, sizeof one);
  // The owner lets go of the file at once, so that a port is free when its listener is closed. If
  // this fails, the next wait() does it.
  if (is_of_owner) (void)submit_now();
  return SysResult(0);
}

// The number names no file any more, and the next one may look like the old one.
void IoUringSelector::forget(int fd) {
  absl::MutexLock lock(&mutex_);
  if (fd < 0 || static_cast<std::size_t>(fd) >= slots_.size() || !slot(fd).is_registered) return;
  slot(fd).is_registered = false;
  retire(fd);
}

absl::Status IoUringSelector::start(BufferPool& pool, const BufferPool::Limits& limits) {
  std::unique_ptr<IoUringRing> ring;
  {
    absl::MutexLock lock(&mutex_);
    ring = std::move(ring_);
  }
  absl::Status started = pool.start(*ring, limits);
  absl::MutexLock lock(&mutex_);
  ring_ = std::move(ring);
  return started;
}

bool IoUringSelector::submit_now() {
  std::unique_ptr<IoUringRing> ring;
  {
    absl::MutexLock lock(&mutex_);
    if (owner_ != std::this_thread::get_id()) return false;
    ring = std::move(ring_);
  }
  if (ring == nullptr) return false;
  SysResult done = submit_changes(*ring, /*may_sleep=*/false);
  if (done.ok()) done = ring->enter(0);
  const bool is_lost = done.error() == EBADR || ring->has_lost();
  completions_->note(!is_lost && ring->has_none(), /*is_whole=*/false);
  if (is_lost) return false;  // the next wait() makes a new ring
  const bool is_done = done.ok() && ring->is_all_submitted();
  absl::MutexLock lock(&mutex_);
  if (owner_ == std::this_thread::get_id()) std::swap(ring_, ring);
  return is_done;
}

SysResult IoUringSelector::wait(Events& events, std::int64_t timeout_ns) {
  absl::StatusOr<std::unique_ptr<IoUringRing>> taken = take_ring();
  if (!taken.ok()) return SysResult::from_errno(errno_of(taken.status()));
  IoUringRing& ring = **taken;
  const bool has_news_already = ring.has_next() || completions_->has_untold();
  const std::int64_t sleep_ns = has_news_already ? 0 : timeout_ns;
  SysResult done = submit_changes(ring, /*may_sleep=*/sleep_ns != 0);
  if (done.ok()) done = ring.enter(sleep_ns);
  completions_->submitted(ring);
  completions_->tell(events);
  std::size_t completions = collect(ring, events);
  const bool has_news = completions != 0;
  while (done.ok() && completions >= kManyCompletions && events.size() < events.capacity() &&
         !completions_->has_enough()) {
    done = ring.enter(0);
    completions = collect(ring, events);
  }
  // The kernel had no memory for completions, or the owner has ended and this thread has got its
  // id. A new ring reports everything that is ready again.
  const bool is_lost = done.error() == EBADR || done.error() == EEXIST || ring.has_lost();
  const bool is_whole = (done.ok() || done.error() == ETIME) && completions < kManyCompletions;
  completions_->note(!is_lost && ring.has_none(), is_whole && events.size() < events.capacity());
  if (!is_lost) {
    absl::MutexLock lock(&mutex_);
    ring_ = *std::move(taken);
  }
  if (!events.empty()) return SysResult(static_cast<std::int64_t>(events.size()));
  // Completions of polls that have been replaced must not hide others.
  if (is_lost || (done.ok() && has_news)) return SysResult::from_errno(EINTR);
  switch (done.error()) {
    case ETIME:
      return SysResult(0);
    case 0:
    case EAGAIN:  // no memory for operations, which stay in the queue
    case EBUSY:   // so many completions wait in the kernel that it takes no operation
    case EINTR:
      return timeout_ns == 0 ? SysResult(0) : SysResult::from_errno(EINTR);
    default:
      return done;
  }
}

// The kernel cancels what is armed when the ring is closed.
void IoUringSelector::release() {
  std::unique_ptr<IoUringRing> ring;
  {
    absl::MutexLock lock(&mutex_);
    ring = std::move(ring_);
  }
  if (ring == nullptr) return;
  ring = nullptr;
  completions_->ring_gone();
}

// The ring for this thread. wait() gives it back.
absl::StatusOr<std::unique_ptr<IoUringRing>> IoUringSelector::take_ring() {
  std::unique_ptr<IoUringRing> ring;
  bool is_unused = false;
  {
    absl::MutexLock lock(&mutex_);
    ring = std::move(ring_);
    if (owner_ == std::this_thread::get_id() && ring != nullptr) return ring;
    is_unused = owner_ == std::thread::id() && ring != nullptr;
    owner_ = std::this_thread::get_id();
  }
  if (!is_unused) {
    ring = nullptr;  // first, so that its descriptor is free for the new one
    absl::StatusOr<std::unique_ptr<IoUringRing>> made = IoUringRing::create(kernel_);
    if (!made.ok()) return made;
    ring = *std::move(made);
    completions_->change_ring(*ring);
    absl::MutexLock lock(&mutex_);
    for (std::size_t fd = 0; fd < slots_.size(); ++fd) {
      slots_[fd].armed = slots_[fd].retired = 0;
      retire(static_cast<int>(fd));
    }
  }
  const SysResult enabled = ring->enable();
  if (!enabled.ok()) return errno_status(enabled.error(), "io_uring_register");
  return ring;
}

SysResult IoUringSelector::submit_changes(IoUringRing& ring, bool may_sleep) {
  for (;;) {
    const bool is_whole = completions_->submit(ring);
    {
      absl::MutexLock lock(&mutex_);
      // Another thread has come with a ring of its own.
      if (owner_ != std::this_thread::get_id()) return SysResult::from_errno(EINTR);
      for (; !changed_.empty() && ring.room() >= 2; changed_.pop_back()) {
        submit_slot(ring, changed_.back());
      }
      if (is_whole && changed_.empty()) {
        is_sleeping_ = may_sleep;
        return SysResult(0);
      }
    }
    const SysResult submitted = ring.enter(0);
    if (!submitted.ok()) return submitted;
  }
}

// Brings the kernel's polls to what the slot says. Requires room for two operations.
void IoUringSelector::submit_slot(IoUringRing& ring, int fd) {
  Slot& changed = slot(fd);
  changed.is_queued = false;
  if (changed.retired != 0) {
    // IORING_OP_POLL_REMOVE fails with EALREADY while a wake of the poll is on its way, and leaves
    // it armed. This one marks the poll, and it ends with that wake.
    io_uring_sqe& cancel = ring.add();
    cancel.opcode = IORING_OP_ASYNC_CANCEL;
    cancel.flags = kSkipSuccess;
    cancel.addr = key_of(fd, changed.retired);
    cancel.user_data = key_of(fd, 0);
    changed.retired = 0;
  }
  if (!changed.is_registered || changed.is_silent) return;
  changed.armed = number_ += 2;
  io_uring_sqe& poll = ring.add();
  poll.opcode = IORING_OP_POLL_ADD;
  poll.fd = fd;
  poll.poll32_events = to_poll_flags(changed.interest);
  poll.len = IORING_POLL_ADD_MULTI;
  poll.user_data = key_of(fd, changed.armed);
}

// Returns the number of completions. Those of one receive in a row come from one operation, and
// count once.
std::size_t IoUringSelector::collect(IoUringRing& ring, Events& events) {
  absl::MutexLock lock(&mutex_);
  is_sleeping_ = false;
  std::size_t completions = 0;
  std::uint64_t last = 0;
  io_uring_cqe done;
  while (events.size() < events.capacity() && ring.next(done)) {
    if (completions == 0 || done.user_data != last) ++completions;
    last = done.user_data;
    take(done, events);
  }
  return completions;
}

void IoUringSelector::take(const io_uring_cqe& done, Events& events) {
  if ((done.user_data & CompletionQueue::kIsReceive) != 0) return completions_->take(done, events);
  const int fd = static_cast<int>(done.user_data & 0xffff'ffff);
  const auto number = static_cast<std::uint32_t>(done.user_data >> 32);
  Slot& ready = slot(fd);
  if (number == 0 || ready.armed != number) return;
  if ((done.flags & IORING_CQE_F_MORE) == 0) {
    // The file is closed, the queue is full, or memory is short. The next wait() arms a new poll.
    ready.armed = 0;
    retire(fd);
  }
  if (done.res == -EBADF) ready.is_registered = false;  // without remove(): epoll forgets it, too
  if (done.res == -EBADF || done.res == -ECANCELED || fd == interrupt_.get()) return;
  const std::uint32_t told = done.res < 0 ? POLLERR : static_cast<std::uint32_t>(done.res);
  const std::uint32_t flags = told & (to_poll_flags(ready.interest) | POLLERR | POLLHUP);
  if (flags == 0) return;  // nobody asked: the kernel adds POLLRDHUP to every poll
  if (ready.interest.trigger() == Trigger::one_shot) ready.is_silent = true;
  // A poll reports changes only. A new one looks at the file first, and so repeats a level.
  if (ready.interest.trigger() != Trigger::edge) retire(fd);
  events.push_back(Event{ready.token, to_readiness(flags)});
}

// Lets the next wait() cancel the poll, and arm another one if the slot still asks for something.
// Completions of the old one are dropped from here on.
void IoUringSelector::retire(int fd) {
  Slot& old = slot(fd);
  if (old.armed != 0) old.retired = std::exchange(old.armed, 0);
  if (!std::exchange(old.is_queued, true)) changed_.push_back(fd);
}

IoUringSelector::Slot& IoUringSelector::slot(int fd) {
  return slots_[static_cast<std::size_t>(fd)];
}

}  // namespace epore::internal
