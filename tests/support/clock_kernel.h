#ifndef EPORE_TESTS_SUPPORT_CLOCK_KERNEL_H_
#define EPORE_TESTS_SUPPORT_CLOCK_KERNEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/support/fault_kernel.h"

namespace epore {

// A FaultKernel whose clock moves only by advance(), for waits as well: one with a timeout ends
// when advance() has come to its deadline, or for its usual reasons. So a runtime's timeouts are
// tested without time passing.
//
//   ClockKernel kernel;
//   Runtime runtime({.kernel = &kernel});
//   Timer timer = runtime.post_after(absl::Hours(1), [] { ... });
//   kernel.advance(absl::Hours(1));  // now it runs
class ClockKernel : public FaultKernel {
 public:
  explicit ClockKernel(Kernel& inner = Kernel::real()) : FaultKernel(inner) { use_manual_clock(); }

  // Moves the clock and ends the waits that are due. Any thread.
  void advance(absl::Duration by);

  // Returns when `count` threads wait for events with a timeout, and for no timeout from before an
  // advance().
  void await_waiters(std::size_t count = 1);

  std::int64_t now() override;
  SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) override;
  SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                         const timespec* timeout) override;
  SysResult ppoll(pollfd* fds, std::size_t count, const timespec* timeout) override;
  SysResult io_uring_enter(int ring, unsigned submit, unsigned min_complete, unsigned flags,
                           const void* argument, std::size_t size) override;
  SysResult park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 std::int64_t timeout_ns) override;
  SysResult unpark(const std::atomic<std::uint32_t>& word, int count) override;

 protected:
  // Called by a thread in a wait with a timeout: from here on an advance() ends it only at its
  // deadline, if it is one for events; a park it always ends. Locks may be held.
  virtual void begin_timed_wait(std::int64_t /*timeout_ns*/) {}

 private:
  class Alarm;

  SysResult wait_for_queue(int epfd, epoll_event* events, int capacity, std::int64_t timeout_ns);

  // A timeout is what was left at a now() of the same thread before. False: the clock has moved
  // since then, so that the timeout is over or too long, and the caller has to look again: the wait
  // ends as if it were over. (Were it ended by an event, Poll could go on to a deadline that it has
  // reckoned from the new time and the old timeout.)
  bool is_timeout_exact() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::vector<int> alarms_ ABSL_GUARDED_BY(mutex_);  // eventfds of the waits
  std::uint64_t unparks_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t advances_ ABSL_GUARDED_BY(mutex_) = 0;
  // At each thread's first now() since it last waited.
  std::map<std::thread::id, std::uint64_t> advances_seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_CLOCK_KERNEL_H_
