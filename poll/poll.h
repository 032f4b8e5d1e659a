#ifndef EPORE_POLL_POLL_H_
#define EPORE_POLL_POLL_H_

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/events.h"
#include "epore/poll/options.h"
#include "epore/poll/registry.h"

namespace epore {

// The system's event queue and the one thread that waits for it. Waits and reports; it does not
// read, write, retry, time or dispatch: `runtime/` does.
//
//   absl::StatusOr<epore::Poll> poll = epore::Poll::create();
//   std::shared_ptr<epore::Registry> registry = poll->registry();
//   absl::Status added = registry->register_fd(fd, epore::Token{1}, epore::Interest::readable());
//   epore::Events events(1024);
//   absl::Status polled = poll->poll(events, absl::Seconds(1));
//   for (const epore::Event& event : events) read_until_eagain(event.token);
//
// Threads: poll() by one thread at a time, and a second one is refused; registry() from any. To
// end a blocked poll() from another thread, use a Waker.
//
// Lifetime: destroy, move or assign over it only while nobody is in poll(), which is CHECKed.
// Registries outlive it and then refuse.
// Descriptors are borrowed. Close-on-exec everywhere; not to be used in a forked child, whose
// changes would reach the parent's queue (epoll(7)).
//
// What holds on every engine (today epoll and poll(2)):
//
// 1. One thread at a time is in poll(); Registry and Waker work from any thread at any time.
// 2. Descriptors are borrowed; double or unknown registration is an error.
// 3. Readiness is a hint and edges are not repeated (on poll(2) they may be): read until EAGAIN.
//    Readable and writable are guaranteed, the other bits are hints.
// 4. After deregister_fd() returns, no poll() that starts later yields its token.
// 5. A wake is never lost and may be merged; what happened before it is visible after the poll()
//    that it ends. Likewise what happened before a registration, after the poll() that tells it.
//
// See epoll(7), poll(2).
class Poll {
 public:
  // Makes an event queue. Errors: a selector name that is not known (InvalidArgument), the system
  // refuses (the errno's code: EMFILE is ResourceExhausted).
  static absl::StatusOr<Poll> create(const PollOptions& options = {});

  Poll(Poll&& other) noexcept;
  Poll& operator=(Poll&& other) noexcept;
  ~Poll();

  // Waits until something is ready, a Waker wakes or `timeout` has passed, and replaces `events` by
  // what is ready, wakers included; none after a timeout.
  //
  // `timeout`: waits are never shorter than asked, with the nanoseconds of epoll_pwait2(2) where
  // there is one (Linux 5.11), otherwise rounded up to milliseconds. absl::InfiniteDuration() waits
  // for ever, zero and negative ones do not wait at all. A signal does not end the wait: it goes on
  // with the time that is left.
  //
  // Errors: FailedPrecondition for a second thread, and if this was moved from; otherwise the
  // wait's own errno, which is fatal for this Poll.
  absl::Status poll(Events& events, absl::Duration timeout);

  // The shared face; copies of the pointer may go to any thread. Null if this was moved from.
  std::shared_ptr<Registry> registry() const { return registry_; }

 private:
  explicit Poll(std::shared_ptr<Registry> registry);
  void retire();

  std::shared_ptr<Registry> registry_;
  std::atomic<bool> polling_{false};
};

}  // namespace epore

#endif  // EPORE_POLL_POLL_H_
