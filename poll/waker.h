#ifndef EPORE_POLL_WAKER_H_
#define EPORE_POLL_WAKER_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"
#include "epore/poll/registry.h"
#include "epore/poll/token.h"

namespace epore {

// Ends a poll() from any thread: the current one, or the next if none is waiting.
//
//   absl::StatusOr<epore::Waker> waker = epore::Waker::create(poll->registry(), epore::Token{0});
//   std::thread([&] { absl::Status woken = waker->wake(); }).join();
//   poll->poll(events, absl::InfiniteDuration());  // yields one event with Token{0}
//
// Threads: wake() from any thread, concurrently. Lifetime: registered while it lives; it holds the
// registry. wake() after the Poll is gone returns FailedPrecondition.
//
// Edges: wakes may be merged, never lost. What a thread did before wake() is visible to the thread
// in poll() after that poll() returned. One wake costs one write(2); nothing is read per wake, as
// the eventfd is edge-triggered (on the poll(2) engine the engine reads it). A counter that is full
// is read and written again (eventfd(2)). Repeated wakes are not saved up here: that is a flag of
// the owner's (`runtime/` has one).
class Waker {
 public:
  // `registry` must not be null. Errors as Registry::register_fd, and those of eventfd(2). No
  // descriptor is left on failure.
  static absl::StatusOr<Waker> create(std::shared_ptr<Registry> registry, Token token);

  Waker(Waker&&) = default;
  Waker& operator=(Waker&& other) noexcept;
  ~Waker();

  // Ends the poll(). FailedPrecondition: the Poll is gone, or this was moved from. Other errors
  // would be those of write(2), which no eventfd in use gives; EINTR and EAGAIN are seen to.
  absl::Status wake() const;

 private:
  Waker(std::shared_ptr<Registry> registry, std::shared_ptr<const OwnedFd> fd);
  void retire();

  std::shared_ptr<Registry> registry_;  // null when moved from
  std::shared_ptr<const OwnedFd> fd_;   // shared with an engine that reads it
};

}  // namespace epore

#endif  // EPORE_POLL_WAKER_H_
