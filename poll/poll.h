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

namespace internal {
class CompletionQueue;
}

// A Poll is the operating system's event queue together with the one thread that waits for it. It
// waits and reports. It does not read, write, retry or dispatch: `runtime/` does.
//
//   absl::StatusOr<epore::Poll> poll = epore::Poll::create();
//   std::shared_ptr<epore::Registry> registry = poll->registry();
//   absl::Status added = registry->register_fd(fd, epore::Token{1}, epore::Interest::readable());
//   epore::Events events(1024);
//   absl::Status polled = poll->poll(events, absl::Seconds(1));
//   for (const epore::Event& event : events) read_until_eagain(event.token);
//
// Threads: one thread at a time calls poll(), and a second caller gets FailedPrecondition. Any
// thread may call registry(). A Waker ends a blocked poll() from another thread.
//
// Ownership, lifetime: a Poll borrows the registered descriptors and never closes them. Its own
// descriptors are close-on-exec. No thread may be in poll() while the Poll is destroyed, moved or
// assigned to; this is CHECKed. Registries may outlive the Poll and then refuse every call. A
// forked child must not use the Poll, because its changes would reach the parent's queue
// (epoll(7)).
//
// Edges, on every engine (today epoll, poll(2) and io_uring):
//
// 1. Guaranteed: Registry and Waker work from any thread at any time, also during a poll().
// 2. Guaranteed: registering a descriptor twice, or changing an unknown one, is an error.
// 3. Guaranteed: readable and writable are reported, once for each change. Other bits are hints.
//    Every event may be spurious. An edge is not repeated, so read or write until EAGAIN.
// 4. Guaranteed: after deregister_fd() has returned, no poll() that starts later yields its token.
// 5. Guaranteed: no wake is lost. Several wakes may become one event.
// 6. Guaranteed: what a thread did before it woke or registered is visible to the thread in poll(),
//    as soon as poll() returns that event.
// 7. Today, not promised: the poll(2) engine repeats an edge while the readiness lasts.
//
// See epoll(7), poll(2).
class Poll {
 public:
  // Makes an event queue. Errors: InvalidArgument if no engine has the name in `options`; otherwise
  // the code of the errno with which the system refused (EMFILE is ResourceExhausted).
  static absl::StatusOr<Poll> create(const PollOptions& options = {});

  Poll(Poll&& other) noexcept;
  Poll& operator=(Poll&& other) noexcept;
  ~Poll();

  // Waits until a descriptor is ready, a Waker wakes it, or `timeout` has passed. Replaces the
  // contents of `events` by what is ready, wakes included. After a timeout `events` is empty.
  //
  // `timeout`: a wait is never shorter than asked. It is exact to the nanosecond where the system
  // has epoll_pwait2(2) (Linux 5.11). Elsewhere it is rounded up to a millisecond. With
  // absl::InfiniteDuration() it waits for ever. Zero and negative timeouts do not wait. A signal
  // does not end the wait, which goes on with the time that is left.
  //
  // Errors: FailedPrecondition if another thread is in poll(), or if this Poll was moved from. Any
  // other error is that of the system's wait, and is fatal for this Poll.
  absl::Status poll(Events& events, absl::Duration timeout);

  // The registry of this Poll; null if the Poll was moved from. Copies may go to any thread.
  std::shared_ptr<Registry> registry() const { return registry_; }

  // The descriptor of the queue, which another event queue can wait for: it is readable while
  // poll() would report something. Register it level-triggered. Only this Poll may use it
  // otherwise. -1 if the engine has none (poll(2), io_uring), or if this Poll was moved from.
  int descriptor() const;

  // For a thread that polls no more, or not for long. An engine may let the system hold a file that
  // another thread has deregistered until the next poll(): on io_uring its peer does not see that
  // it is closed. This ends that as well. The registrations stay, and a later poll() begins anew.
  // Without it the files go with the Poll and all its Registries. Does nothing while a thread is in
  // poll(); a poll() that begins meanwhile gets FailedPrecondition. A thread that has polled may be
  // interrupted by it once, as by a signal.
  void release();

  // For epore's own runtime, without a promise: what completes operations on the ring of the
  // engine. Null if it has none.
  internal::CompletionQueue* completions() const;

 private:
  explicit Poll(std::shared_ptr<Registry> registry);
  void detach();

  std::shared_ptr<Registry> registry_;

  // True while a thread is in poll() or release(). The thread sets it by an exchange (acquire) and
  // clears it by a store (release). The next thread then sees what this one did to the Events and
  // the engine. The race: two threads call poll() at once. The exchange lets one in and refuses the
  // other.
  std::atomic<bool> polling_{false};
};

}  // namespace epore

#endif  // EPORE_POLL_POLL_H_
