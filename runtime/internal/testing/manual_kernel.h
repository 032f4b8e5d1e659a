#ifndef EPORE_RUNTIME_INTERNAL_TESTING_MANUAL_KERNEL_H_
#define EPORE_RUNTIME_INTERNAL_TESTING_MANUAL_KERNEL_H_

#include <poll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/testing/passing_kernel.h"

namespace epore::internal {

// A ManualKernel is a Kernel whose clock moves by advance() alone, for waits as well. It knows
// which threads wait, and what for. See ManualClock, which is its public face.
//
// Its own threads are those that start_thread() has started. All others are guests: a thread of the
// program that runs a loop, or waits for a shutdown.
//
// Every wait registers a Sleep, and takes it out again before it looks at what has ended it. So
// while the mutex is held, a thread that sleeps cannot begin to do anything. If all own threads
// sleep and no Sleep has a reason to end, then nothing happens until a guest, a peer or the clock
// gives one: the kernel is idle.
//
// A timeout is what was left at an earlier now() of the same thread. If the clock has moved since
// then, the timeout is over or too long. The wait then ends at once, as if it were over, and the
// caller looks at the clock again.
//
// A guest that waits with a timeout may be the one that would have moved the clock, as in
// ~Runtime. So if nobody moves the clock while it waits, it moves the clock itself, from deadline
// to deadline, until its wait is over. It does so after `patience` of real time, and the log says
// so. The thread that has made the clock, or was the last in advance(), is the mover. Where it
// parks, nobody else is likely to come: a tenth of the time, and no log. A loop of Dispatch::caller
// does not park, but waits for peers too, which may be slow. So there it has all the patience.
class ManualKernel final : public PassingKernel {
 public:
  // `patience` is real time, after which the log says what somebody waits for.
  explicit ManualKernel(Kernel& inner, absl::Duration patience = absl::Seconds(10));

  // Waits until every own thread has ended, those that look up names included.
  ~ManualKernel() override;

  // Moves the clock by `time` (ns, at least 0) in steps, one for each deadline on the way. Before
  // the first step and after each one it waits until the kernel is idle. On an own thread, which
  // would wait for itself, it moves the clock in one step and waits for nothing.
  void advance(std::int64_t time) ABSL_LOCKS_EXCLUDED(mutex_);

  // Returns when the kernel is idle. On an own thread it returns at once.
  void await_idle() ABSL_LOCKS_EXCLUDED(mutex_);

  // The time, for a thread that does not wait by it.
  std::int64_t time() const ABSL_LOCKS_EXCLUDED(mutex_);

  std::int64_t now() override ABSL_LOCKS_EXCLUDED(mutex_);
  SysResult flock(int fd, int operation) override;
  SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) override;
  SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                         const timespec* timeout) override;
  SysResult ppoll(pollfd* fds, std::size_t count, const timespec* timeout) override;
  SysResult io_uring_setup(unsigned entries, io_uring_params* params) override;
  SysResult park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 std::int64_t timeout_ns) override ABSL_LOCKS_EXCLUDED(mutex_);
  SysResult unpark(const std::atomic<std::uint32_t>& word, int count) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  SysResult start_thread(const char* name, std::function<void()> body, std::uint64_t* id) override
      ABSL_LOCKS_EXCLUDED(mutex_);

  // As a system that does not tell. Real time used by a thread means nothing beside a clock that
  // stands still, so that only what a thread does decides.
  SysResult run_delay(int thread, std::int64_t* nanoseconds) override;
  SysResult thread_state(int thread, ThreadState* state) override;
  SysResult thread_cpu(int thread, std::int64_t* nanoseconds) override;
  SysResult thread_usage(ThreadUsage* usage) override;

 private:
  enum class End : std::uint8_t { ready, due, stale };

  // A wait of a thread.
  struct Sleep {
    std::int64_t deadline = kNever;
    bool is_own = false;

    // A wait for descriptors. The bell, an eventfd, ends it. -1: there is none.
    std::vector<pollfd> fds = {};
    int bell = -1;

    // A park.
    const std::atomic<std::uint32_t>* word = nullptr;
    bool is_over = false;
    absl::CondVar over = {};
  };
  using Sleeps = std::list<Sleep>;

  bool is_own_thread() const;
  bool poll_patiently(std::span<pollfd> fds) const;
  SysResult wait_for_queue(int epfd, epoll_event* events, int capacity, std::int64_t timeout_ns);
  End wait_for(std::span<const pollfd> fds, std::int64_t timeout_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void move(std::int64_t step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::int64_t next_step(std::int64_t most) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void move_for(const Sleep& sleep, std::uint64_t& moves, bool is_logged)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool is_timeout_exact() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Sleeps::iterator begin_sleep(std::int64_t timeout_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void end_sleep(Sleeps::iterator sleep) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void wait_until_idle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool is_idle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool has_reason_to_end(const Sleep& sleep) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void warn(std::string_view what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void end_thread() ABSL_LOCKS_EXCLUDED(mutex_);

  const absl::Duration patience_;

  mutable absl::Mutex mutex_;
  absl::CondVar changed_;  // sleeps_ or threads_
  std::int64_t now_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t moves_ ABSL_GUARDED_BY(mutex_) = 0;
  Sleeps sleeps_ ABSL_GUARDED_BY(mutex_);
  std::size_t threads_ ABSL_GUARDED_BY(mutex_) = 0;  // own ones that have not ended
  std::size_t movers_ ABSL_GUARDED_BY(mutex_) = 0;   // guests that wait until it is idle
  std::thread::id mover_ ABSL_GUARDED_BY(mutex_);    // see above

  // moves_ at the first now() of each thread since it last waited.
  std::map<std::thread::id, std::uint64_t> moves_seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TESTING_MANUAL_KERNEL_H_
