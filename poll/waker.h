#ifndef EPORE_POLL_WAKER_H_
#define EPORE_POLL_WAKER_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"
#include "epore/poll/registry.h"
#include "epore/poll/token.h"

namespace epore {

// A Waker ends a poll() from any thread. If no thread is in poll(), the next poll() returns at
// once. A Waker carries no data: the Token of its event only says that somebody woke.
//
//   absl::StatusOr<epore::Waker> waker = epore::Waker::create(poll->registry(), epore::Token{0});
//   std::thread([&] { absl::Status woken = waker->wake(); }).join();
//   absl::Status polled = poll->poll(events, absl::InfiniteDuration());  // one event: Token{0}
//
// Threads: any number of threads may call wake() at once.
//
// Ownership, lifetime: a Waker owns an eventfd and holds the Registry. It is registered as long as
// it lives. After the Poll is gone, wake() returns FailedPrecondition.
//
// Edges. Guaranteed: no wake is lost, and several wakes may become one event. Guaranteed: after the
// poll() has returned, its thread sees what the other thread did before wake(). Today, not
// promised: one wake costs one write(2) and no read, because the eventfd is edge-triggered. (The
// poll(2) engine reads the eventfd itself.) A Waker does not suppress repeated wakes. A program
// that wakes often keeps a flag for that, as `runtime/` does.
//
// See eventfd(2).
class Waker {
 public:
  // Makes an eventfd and registers it with `token`. Errors: InvalidArgument if `registry` is null,
  // as that of a Poll that was moved from; those of Registry::register_fd() and of eventfd(2).
  // After an error no descriptor is left open.
  static absl::StatusOr<Waker> create(std::shared_ptr<Registry> registry, Token token);

  Waker(Waker&&) = default;
  Waker& operator=(Waker&& other) noexcept;
  ~Waker();

  // Ends the poll() that is blocked, or the next one. Errors: FailedPrecondition if the Poll is
  // gone or this Waker was moved from. EINTR and EAGAIN are handled inside; no other errno of
  // write(2) occurs for an open eventfd.
  absl::Status wake() const;

 private:
  Waker(std::shared_ptr<Registry> registry, std::shared_ptr<const OwnedFd> fd);
  void deregister();

  std::shared_ptr<Registry> registry_;  // null when moved from
  std::shared_ptr<const OwnedFd> fd_;   // shared with engines that read the eventfd
};

}  // namespace epore

#endif  // EPORE_POLL_WAKER_H_
