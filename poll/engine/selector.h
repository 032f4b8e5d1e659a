#ifndef EPORE_POLL_ENGINE_SELECTOR_H_
#define EPORE_POLL_ENGINE_SELECTOR_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "epore/poll/events.h"
#include "epore/poll/interest.h"
#include "epore/poll/kernel/sys_result.h"
#include "epore/poll/owned_fd.h"
#include "epore/poll/token.h"

namespace epore::internal {

// The port contract: what an engine must do, written once. Readiness only; a completion path is a
// class of its own above this one. An engine has no policy: it neither retries nor times.
//
// Threads: wait() by one thread at a time (Poll sees to it), everything else from any thread at any
// time, also during a wait(), which must see the change.
//
// Errors are the errno's of epoll_ctl(2) on every engine: EEXIST for a second add, ENOENT for an
// unknown modify or remove, EBADF for a closed descriptor, EPERM for one that cannot be waited for.
// The interest is never empty.
//
// A readiness that is there when add() or modify() is called counts as an edge. One-shot: after an
// event the registration is silent, hang-ups included, until modify(). After remove() returns, no
// wait() that starts later yields the token. Readable and writable must be exact up to spurious
// ones; error and hang-up set them too (readiness.h has the table).
class Selector {
 public:
  virtual ~Selector() = default;

  virtual SysResult add(int fd, Token token, Interest interest) = 0;
  virtual SysResult modify(int fd, Token token, Interest interest) = 0;
  virtual SysResult remove(int fd) = 0;

  // Adds an eventfd that is written to wake the wait: each write yields at least one event,
  // although nobody but the engine reads it. Shared, so that an engine that reads it can keep its
  // number from becoming a stranger's meanwhile.
  virtual SysResult add_waker(std::shared_ptr<const OwnedFd> fd, Token token) = 0;

  // Waits for at most `timeout_ns` nanoseconds (negative: for ever, zero: not at all; never less
  // than asked) and appends to the empty `events` at most its capacity. Returns the number, or an
  // errno; EINTR asks the caller to go on with the time that is left.
  virtual SysResult wait(Events& events, std::int64_t timeout_ns) = 0;

  struct Traits {
    std::string_view name;
    bool has_edges;  // Trigger::edge tells a persisting readiness once only
  };
  virtual Traits traits() const = 0;
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_SELECTOR_H_
