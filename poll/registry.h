#ifndef EPORE_POLL_REGISTRY_H_
#define EPORE_POLL_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "epore/poll/interest.h"
#include "epore/poll/token.h"

namespace epore {

class Kernel;

namespace internal {
class Selector;
}

// The shared face of a Poll: puts descriptors into the event queue and takes them out.
//
//   std::shared_ptr<epore::Registry> registry = poll->registry();
//   std::thread([registry, fd] {
//     absl::Status added = registry->register_fd(fd, epore::Token{7}, epore::Interest::readable());
//   }).join();
//
// Threads: every method may be called from any thread at any time, also while another thread is
// blocked in Poll::poll(); that very poll() sees the change.
//
// Ownership: borrows descriptors, never closes them. Deregister before close(2): a descriptor that
// was duplicated keeps firing after its close, and nobody can take it out any more (epoll(7),
// questions and answers, 6). A clone of the shared_ptr keeps the queue's own descriptor alive, so a
// late call can never hit a stranger's; once the Poll is gone every call returns
// FailedPrecondition.
//
// Errors, the same on every engine, each naming the call, the descriptor and the errno:
//
// | situation                                  | status             |
// |--------------------------------------------|--------------------|
// | fd already registered (register_fd)        | AlreadyExists      |
// | fd not registered (reregister, deregister) | NotFound           |
// | fd closed or never opened                  | FailedPrecondition (EBADF) |
// | fd cannot be waited for (a file, a folder) | PermissionDenied (EPERM)   |
// | empty interest                             | InvalidArgument    |
// | the Poll is gone                           | FailedPrecondition |
// | out of memory or of user watches           | ResourceExhausted  |
//
// Edges: a registration follows the open file description, not the number. After a close(2) without
// deregister_fd the number can be registered anew; whether the old one still fires is the kernel's
// business. The poll(2) engine knows files by device and inode, and takes two eventfds, timerfds or
// the like, which share one inode, for the same file; and it cannot tell a device that is always
// ready, as /dev/null, which epoll refuses. See epoll_ctl(2).
class Registry {
 public:
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Starts reporting `fd` under `token`. A readiness that is already there counts as an edge. What
  // happened before the call is visible to whoever gets an event of it.
  absl::Status register_fd(int fd, Token token, Interest interest);

  // Replaces token and interest, rearms a one-shot, and reports a present readiness again.
  absl::Status reregister_fd(int fd, Token token, Interest interest);

  // Stops reporting `fd`. No poll() that starts after the return yields its token; events that were
  // copied out before may still be in the caller's hands.
  absl::Status deregister_fd(int fd);

  // The engine's name: "epoll" or "poll".
  std::string_view selector_name() const;

  // Whether Trigger::edge tells a persisting readiness once only. Where it does not, prefer
  // one-shot.
  bool has_edges() const;

 private:
  friend class Poll;
  friend class Waker;

  explicit Registry(std::unique_ptr<internal::Selector> selector, Kernel& kernel);
  absl::Status check(const char* call, int fd) const;
  void publish() { published_.fetch_add(1, std::memory_order_release); }

  // Constant after construction.
  const std::unique_ptr<internal::Selector> selector_;
  Kernel& kernel_;

  std::atomic<bool> poll_gone_{false};

  // Says to the language what the kernel does anyway: each wake and each registration adds one,
  // with release and before its system call; poll() loads, with acquire, after its wait. So what a
  // thread did before is visible to the one that gets the event, also to ThreadSanitizer's eye.
  std::atomic<std::uint32_t> published_{0};
};

}  // namespace epore

#endif  // EPORE_POLL_REGISTRY_H_
