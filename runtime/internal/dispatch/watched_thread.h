#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_WATCHED_THREAD_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_WATCHED_THREAD_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace epore::internal {

// A WatchedThread is a thread that runs user code, as the log knows it. The log says which callback
// holds which thread: once while it does, and once with the duration when it has returned. There is
// at most one line a second for each thread.
//
// Each run has a number that its thread does not use again. Another thread reports that a run is
// stuck, and this report may come after the end of the run.
class WatchedThread {
 public:
  // A stuck run is blocked after this time. A spare worker then replaces its thread.
  static constexpr std::int64_t kBlocked = 100'000'000;  // ns

  // The log names a run that holds the thread for `warn_after` ns. kNever: the log is silent.
  WatchedThread(std::string name, std::int64_t warn_after)
      : name_(std::move(name)), warn_after_(warn_after) {}

  const std::string& name() const { return name_; }

  // The thread itself, before anything else.
  void set_id(int id) { id_.store(id, std::memory_order_relaxed); }
  int id() const { return id_.load(std::memory_order_relaxed); }

  // Another thread: this thread has been in run `number` since `since`. `what` is what it runs, and
  // `run_delay` what Kernel::run_delay() says of this thread.
  void stuck(std::uint64_t number, std::string what, std::int64_t since, std::int64_t run_delay);

  // The thread itself: the run has returned.
  void over(std::uint64_t number, std::int64_t now);

  // The watchdog: whether a run is stuck that is not in the log yet.
  bool is_stuck();

  // The watchdog: whether the run that is stuck has held this thread for too long. The time that
  // the thread has waited for a processor since then does not count.
  bool is_blocked(std::int64_t now, std::int64_t run_delay);

  // The watchdog: logs the run that is stuck, unless there was a line a short while ago.
  void report(std::int64_t now);

  // Any thread: the run that is stuck; empty if none is.
  std::string what();

  // The runs that were stuck so far, one that still is included.
  struct Stuck {
    std::uint64_t count = 0;
    std::int64_t longest = 0;  // ns since stuck() was told of it
    std::string what;          // the longest one

    // Adds those of another thread.
    void add(Stuck other);
  };
  // Looks at the clock by `now` if one is stuck at this moment.
  Stuck stuck_so_far(absl::FunctionRef<std::int64_t()> now);

 private:
  const std::string name_;
  const std::int64_t warn_after_;

  // Kernel::thread_id() of the thread, 0 before it has started. The thread stores, the watchdog
  // loads, relaxed: nothing depends on it but the run delay that the watchdog reads.
  std::atomic<int> id_{0};

  absl::Mutex mutex_;
  std::uint64_t over_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string what_ ABSL_GUARDED_BY(mutex_);  // empty unless a run is stuck
  std::int64_t since_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t run_delay_ ABSL_GUARDED_BY(mutex_) = 0;  // when it became stuck
  bool is_reported_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t last_log_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: never
  Stuck so_far_ ABSL_GUARDED_BY(mutex_);               // of those that have ended, but for `count`
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_WATCHED_THREAD_H_
