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

class CompletionQueue;

// A Selector is the engine behind a Poll. This comment is the port contract: what every engine must
// do. docs/adding-an-engine.md says how each engine keeps each line, and which test checks the
// line.
//
// An engine reports readiness. An engine that completes operations, as io_uring can, is a class of
// its own and not a Selector. An engine has no policy: it does not retry, time or dispatch.
//
//  1. Threads. One thread at a time calls wait(); Poll ensures that. Any thread may call any other
//     function at any time. A wait() that is blocked at that moment sees the change.
//  2. Errors. A function returns the errno that epoll_ctl(2) has for the same situation:
//     EEXIST  add(): the descriptor is registered already.
//     ENOENT  modify(), remove(): the descriptor is not registered.
//     EBADF   the descriptor is not open.
//     EPERM   the descriptor cannot be waited for, such as a regular file.
//     After an error nothing has changed. The interest is never empty; Registry ensures that.
//  3. Ownership. The engine borrows descriptors. A descriptor that is closed without remove() is
//     forgotten sooner or later, and is never an error of wait().
//  4. Readiness. Readable and writable are never missed, and may be spurious. An error or a hang-up
//     sets both, whatever the interest asks for. readiness.h has the table of all bits.
//  5. Present readiness. add() and modify() make the next wait() report a readiness that exists.
//  6. Triggers. Level reports a readiness by every wait() while it lasts. Edge reports each change
//     once if Traits::has_edges is true, and is the same as level otherwise. One-shot reports once;
//     then the registration is silent until modify(), also for hang-ups.
//  7. Removal. After remove() has returned, no wait() that starts later yields the token.
//  8. Wakers. Each write to an eventfd of add_waker() yields at least one event.
//  9. Time. wait() is never shorter than asked, unless something is ready. It may return EINTR at
//     any time; the caller then waits again with the time that is left.
// 10. Batches. wait() appends at most capacity() events. Events beyond these come from a later
//     wait(). A small batch starves no registration. A batch that is not full has everything that
//     was ready when wait() was called, but for the receives of a CompletionQueue.
// 11. Locks. No lock is held during a system call, or while user code runs or is destroyed.
class Selector {
 public:
  virtual ~Selector() = default;

  virtual SysResult add(int fd, Token token, Interest interest) = 0;
  virtual SysResult modify(int fd, Token token, Interest interest) = 0;
  virtual SysResult remove(int fd) = 0;

  // Adds the eventfd of a Waker. Only the engine may read it. An engine that reads it during wait()
  // keeps a copy of the pointer until the read is done. Without the copy, the Waker's destructor
  // could close the eventfd first. The engine would then read a foreign descriptor with the same
  // number.
  virtual SysResult add_waker(std::shared_ptr<const OwnedFd> fd, Token token) = 0;

  // Waits for at most `timeout_ns` nanoseconds and appends what is ready to `events`, which is
  // empty. A negative timeout waits for ever, zero does not wait. Returns the number of events or
  // an errno.
  virtual SysResult wait(Events& events, std::int64_t timeout_ns) = 0;

  // Any thread; none is in wait(), or uses the CompletionQueue. Lets the kernel go of the files
  // that it holds for wait(), whose registrations stay. A later wait() begins anew.
  virtual void release() {}

  struct Traits {
    std::string_view name;  // as in the table of selector_factory.cc
    bool has_edges;         // whether Trigger::edge reports a lasting readiness only once
    int descriptor = -1;    // readable while wait() would report something; -1: there is none
    CompletionQueue* completions = nullptr;  // of the same ring; null: it only reports readiness
  };
  virtual Traits traits() const = 0;
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_SELECTOR_H_
