#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_WATCHED_THREAD_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_WATCHED_THREAD_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
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

  explicit WatchedThread(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // The thread itself, before anything else.
  void set_id(int id) { id_.store(id, std::memory_order_relaxed); }
  int id() const { return id_.load(std::memory_order_relaxed); }

  // Another thread: this thread has been in run `number` since `since`. `what` is what it runs.
  void stuck(std::uint64_t number, std::string what, std::int64_t since);

  // The thread itself: the run has returned.
  void over(std::uint64_t number, std::int64_t now);

  // The watchdog: logs a run that is stuck for too long. True: the watchdog must call again later.
  bool report(std::int64_t now);

 private:
  bool may_log(std::int64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;

  // Kernel::thread_id() of the thread, 0 before it has started. The thread stores, the watchdog
  // loads, relaxed: nothing depends on it but the run delay that the watchdog reads.
  std::atomic<int> id_{0};

  absl::Mutex mutex_;
  std::uint64_t over_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string what_ ABSL_GUARDED_BY(mutex_);  // empty unless a run is stuck
  std::int64_t since_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_reported_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t last_log_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: never
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_WATCHED_THREAD_H_
