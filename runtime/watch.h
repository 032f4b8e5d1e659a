#ifndef EPORE_RUNTIME_WATCH_H_
#define EPORE_RUNTIME_WATCH_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/interest.h"
#include "epore/poll/readiness.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore {

namespace internal {
class WatchState;
}

// A Watch is a callback for a descriptor that belongs to somebody else: an inotify, timerfd or
// eventfd, a device, the socket of a library. Runtime::watch() makes one. It borrows the
// descriptor: it neither reads nor writes nor closes it.
//
//   const int changes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
//   inotify_add_watch(changes, "/etc/app", IN_CLOSE_WRITE);
//   auto watch = runtime.watch(changes, epore::Interest::readable(),
//                              [&](epore::Watch&, absl::StatusOr<epore::Readiness> ready) {
//     if (ready.ok()) read_changes(changes);
//   });
//   ...
//   watch->cancel();
//   ::close(changes);
//
// Threads: any thread may call any method.
//
// Ownership, lifetime: a Watch is a handle. Copies name the same watch and may outlive the runtime.
// Dropping them ends nothing. cancel() the watch before the descriptor is closed. The callback and
// its captures are destroyed in its order, soon after the end.
//
// Edges, guaranteed:
//
// 1. The callback is called as long as the descriptor is ready: once, and after it has returned
//    again, until it has read (or written) all. So it need not read until EAGAIN, no event is lost,
//    and events that come during a call are one call after it. An end of file or an error lasts:
//    cancel() then.
// 2. Calls do not overlap. With an Order they run in it.
// 3. After cancel() epore does not touch the descriptor.
// 4. If the queue refuses to go on (the descriptor was closed while it was watched, no memory), the
//    last call gets that error. A callback that throws ends its watch.
// 5. While a shutdown drains, watches go on. They end with the posts and timers, and no call tells.
//
// A call costs a system call, epoll_ctl(2), for the rearming. See epoll(7), poll(2).
class Watch {
 public:
  // `ready` has the directions of the interest that are ready, and says of hang-ups what Readiness
  // does. It is a hint: a read may still find EAGAIN, so the descriptor should be non-blocking.
  using Callback = absl::AnyInvocable<void(Watch& watch, absl::StatusOr<Readiness> ready)>;

  Watch();  // names no watch; every call does nothing
  Watch(const Watch&);
  Watch(Watch&&) noexcept;
  Watch& operator=(const Watch&);
  Watch& operator=(Watch&&) noexcept;
  ~Watch();

  // Ends the watch. When it returns, the descriptor may be closed. In the watch's order no call
  // begins any more; elsewhere, one that has begun may still run. True: this call has ended it.
  // False: it had ended before, or this names no watch. It waits for a system call of another
  // thread at most.
  bool cancel();

  // Replaces the interest, whose trigger does not matter. An empty one (`i - i`) pauses the watch.
  // In the watch's order no call with the old interest comes any more; elsewhere it takes effect
  // soon.
  void set_interest(Interest interest);

  // Whether it has not ended. Elsewhere than in its order, that may change at once.
  bool is_active() const;

  // The descriptor, also after the end. -1: this names no watch.
  int fd() const;

  // Whether both name the same watch, or none.
  friend bool operator==(const Watch& a, const Watch& b) {
    return a.state_.get() == b.state_.get();
  }
  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const Watch& watch) {
    return Hash::combine(std::move(hash), watch.state_.get());
  }

 private:
  friend class Runtime;
  friend class internal::WatchState;
  explicit Watch(internal::Ref<internal::WatchState> state);

  internal::Ref<internal::WatchState> state_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_WATCH_H_
