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

// A Registry is the shared face of a Poll: it puts descriptors into the event queue and takes them
// out. It does not wait, and it does not own what is registered.
//
//   std::shared_ptr<epore::Registry> registry = poll->registry();
//   std::thread([registry, fd] {
//     absl::Status added = registry->register_fd(fd, epore::Token{7}, epore::Interest::readable());
//   }).join();
//
// Threads: any thread may call any method at any time. A poll() that is blocked at that moment sees
// the change.
//
// Ownership: a Registry borrows descriptors and never closes them. Deregister a descriptor before
// closing it. A descriptor that was duplicated keeps firing after close(2). Nobody can then take it
// out of the queue any more (epoll(7), questions and answers, 6).
//
// Lifetime: each copy of the shared_ptr keeps the queue's own descriptor open. A late call can
// therefore never reach a foreign descriptor. Once the Poll is gone, every call returns
// FailedPrecondition.
//
// Errors are the same on every engine. Each message names the call, the descriptor and the errno:
//
// | situation                                      | status                     |
// |------------------------------------------------|----------------------------|
// | register_fd: the descriptor is registered      | AlreadyExists              |
// | reregister_fd, deregister_fd: it is not        | NotFound                   |
// | the descriptor is closed or was never opened   | FailedPrecondition (EBADF) |
// | it cannot be waited for (a file, a directory)  | PermissionDenied (EPERM)   |
// | the interest is empty                          | InvalidArgument            |
// | the Poll is gone                               | FailedPrecondition         |
// | no memory, or too many watches of this user    | ResourceExhausted          |
//
// Edges: a registration belongs to the open file description and not to the number. After a
// close(2) without deregister_fd() the number can be registered again. Whether the old registration
// still fires is up to the kernel. Today, not promised: the poll(2) engine compares files by device
// and inode. All eventfds, timerfds and signalfds share one inode, so it takes them for the same
// file. The poll(2) engine also accepts devices that are always ready, such as /dev/null; epoll
// refuses them.
//
// See epoll_ctl(2), epoll(7).
class Registry {
 public:
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Starts reporting `fd` with `token`. A readiness that exists already counts as an edge. The
  // thread that gets an event of `fd` sees what the caller did before this call.
  absl::Status register_fd(int fd, Token token, Interest interest);

  // Replaces token and interest, and rearms a one-shot. A readiness that exists already is reported
  // again.
  absl::Status reregister_fd(int fd, Token token, Interest interest);

  // Stops reporting `fd`. No poll() that starts after the return yields its token. The caller may
  // still hold events that an earlier poll() copied out.
  absl::Status deregister_fd(int fd);

  // The name of the engine, as in PollOptions::selector.
  std::string_view selector_name() const;

  // Whether Trigger::edge reports a lasting readiness only once. Where it does not, use one-shot.
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

  // True once the Poll has ended. The Poll's destructor stores it (release); every call of Registry
  // and Waker loads it (acquire). It never becomes false again. A call that races the destructor
  // may still reach the selector, which lives as long as the Registry.
  std::atomic<bool> poll_gone_{false};

  // Carries the happens-before edge of guarantee 6 of poll.h. The kernel orders a wake and the wait
  // that it ends. The C++ memory model knows nothing of the kernel. So each wake and each
  // registration increments the word (release) before its system call. poll() loads the word
  // (acquire) after its wait. The value means nothing. Without the word ThreadSanitizer reports
  // races.
  std::atomic<std::uint32_t> published_{0};
};

}  // namespace epore

#endif  // EPORE_POLL_REGISTRY_H_
