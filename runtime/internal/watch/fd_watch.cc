#include "epore/runtime/internal/watch/fd_watch.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/errno_of.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/registry.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/reactor/reactor.h"

namespace epore::internal {
namespace {

constexpr Interest kNothing = Interest::readable() - Interest::readable();

// What the queue says, in the words of who watches.
absl::Status refused(const absl::Status& why, const char* call, int fd) {
  const std::string subject = absl::StrCat(call, "(fd ", fd, ")");
  switch (errno_of(why)) {
    case EEXIST:
      return errno_status(EEXIST, absl::StrCat(subject, ": it is watched already"));
    case EPERM:
      return errno_status(EPERM,
                          absl::StrCat(subject,
                                       ": files and directories are always ready, and cannot be "
                                       "watched"));
    case EBADF:
      return errno_status(EBADF, absl::StrCat(subject, ": it is not open"));
    case ENOENT:  // the number is in use again
      return errno_status(ENOENT, absl::StrCat(subject, ": it was closed while it was watched"));
    case 0:
      return why;
    default:
      return errno_status(errno_of(why), subject);
  }
}

}  // namespace

Reactor& FdWatch::home_of(Core& core, int fd) {
  return *core.reactors()[static_cast<std::size_t>(fd < 0 ? 0 : fd) % core.reactors().size()];
}

FdWatch::FdWatch(Ref<Core> core, Ref<OrderState> order, int fd, Interest interest)
    : Registration(home_of(*core, fd), order ? Kind::member : Kind::lasting),
      core_(std::move(core)),
      order_(std::move(order)),
      fd_(core_->kernel(), fd),
      interest_(interest),
      armed_(kNothing) {
  (void)wait_for_write();  // "writable" alone wakes it as well
}

absl::Status FdWatch::start(const char* call) {
  if (!core_->begin_lingering()) {
    return absl::FailedPreconditionError(
        absl::StrCat(call, "(fd ", fd(), "): the runtime is shut down"));
  }
  absl::Status begun;
  core_->first_run(*this, [&] { begun = begin(call); });
  return begun;
}

absl::Status FdWatch::begin(const char* call) {
  bool has_slot = false;
  try {
    has_slot = home().slots().acquire(*this);
  } catch (const std::bad_alloc&) {
  }
  if (!has_slot) {
    is_over_ = true;
    core_->end_lingering();
    return absl::ResourceExhaustedError(absl::StrCat(call, "(fd ", fd(), "): no slot is left"));
  }
  // Either the shutdown finds the slot, or this sees its phase: it sets the phase first.
  if (core_->phase() >= Core::Phase::refusing) shut_down(ShutdownStep::abort);
  const Interest wanted = interest_.load(std::memory_order_relaxed);
  (void)fd_.begin_call();  // nobody can have given it back
  const absl::Status registered = or_no_memory(call, [&] { return register_for(wanted); });
  fd_.end_call();
  if (registered.ok()) {
    armed_ = wanted;
    return registered;
  }
  (void)end();
  is_over_ = true;
  core_->end_lingering();
  return or_no_memory(call, [&] { return refused(registered, call, fd()); });
}

bool FdWatch::end() {
  if (!fd_.give_back()) return false;
  retire();
  if (std::exchange(is_registered_, false)) (void)home().registry()->deregister_fd(fd());
  fd_.done();
  core_->wake(*this);
  return true;
}

void FdWatch::set_interest(Interest interest) {
  interest_.store(interest, std::memory_order_release);
  core_->wake(*this);
}

void FdWatch::shut_down(ShutdownStep step) {
  if (step != ShutdownStep::abort) return;
  is_stopped_.store(true, std::memory_order_release);
  core_->wake(*this);
}

void FdWatch::run() {
  if (is_over_) return;
  if (is_stopped_.load(std::memory_order_acquire)) (void)end();
  if (is_active()) {
    const Readiness readiness = take_readiness(interest_.load(std::memory_order_acquire));
    if (!readiness.is_empty()) is_ready(readiness);
    rearm();
  }
  if (is_active()) return;
  is_over_ = true;
  has_ended();
  core_->end_lingering();
}

std::string FdWatch::describe() const { return absl::StrCat("the watch of descriptor ", fd()); }

// What has been reported, and is wanted still. The counts come before the hints: see Registration.
Readiness FdWatch::take_readiness(Interest wanted) {
  Readiness readiness;
  for (const Direction direction : {Direction::read, Direction::write}) {
    if (!edges_.is_ready(direction)) continue;
    armed_ = kNothing;
    edges_.use_up(direction, edges_.mark(direction));
    if (direction == Direction::read && wanted.is_readable()) readiness |= Readiness::readable();
    if (direction == Direction::write && wanted.is_writable()) readiness |= Readiness::writable();
  }
  const std::uint32_t hints = hints_.exchange(0, std::memory_order_relaxed);
  if (wanted.is_empty()) return readiness;
  if ((hints & kMayHaveMore) != 0) readiness |= Readiness::read_closed();
  if ((hints & kHangUp) != 0) readiness |= Readiness::write_closed();
  if ((hints & kError) != 0) readiness |= Readiness::error();
  return readiness;
}

void FdWatch::rearm() {
  const Interest wanted = interest_.load(std::memory_order_acquire);
  if (wanted == armed_ || !fd_.begin_call()) return;
  absl::Status armed = or_no_memory("watch", [&] { return register_for(wanted); });
  fd_.end_call();
  if (armed.ok()) {
    armed_ = wanted;
  } else if (end()) {
    has_failed(or_no_memory("watch", [&] { return refused(armed, "watch", fd()); }));
  }
}

// In a call of fd_.
absl::Status FdWatch::register_for(Interest wanted) {
  Registry& registry = *home().registry();
  if (wanted.is_empty()) {
    if (!std::exchange(is_registered_, false)) return absl::OkStatus();
    return registry.deregister_fd(fd());
  }
  if (is_registered_) return registry.reregister_fd(fd(), token(), wanted.one_shot());
  absl::Status registered = registry.register_fd(fd(), token(), wanted.one_shot());
  is_registered_ = registered.ok();
  return registered;
}

}  // namespace epore::internal
