#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_WATCHED_THREAD_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_WATCHED_THREAD_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace epore::internal {

// A thread that runs user code, and what it is stuck in, for the log: which callback holds which
// thread, once while it does and once more with the duration when it is over; at most one line a
// second for each thread.
//
// A run is named by a number that its thread does not use again. That it is stuck is told by
// another thread, which may come later than the end.
class WatchedThread {
 public:
  // From here on a stuck run is blocked: spare workers make up for its thread.
  static constexpr std::int64_t kBlocked = 100'000'000;  // ns

  explicit WatchedThread(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // The thread itself, first of all.
  void set_id(int id) { id_.store(id, std::memory_order_relaxed); }
  int id() const { return id_.load(std::memory_order_relaxed); }

  // Another thread: this one has been in run `number`, of `what`, since `since`.
  void stuck(std::uint64_t number, std::string what, std::int64_t since);

  // This thread: the run is over.
  void over(std::uint64_t number, std::int64_t now);

  // The watchdog: logs what has been stuck for too long. True: there is something to log later.
  bool report(std::int64_t now);

 private:
  bool may_log(std::int64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;
  std::atomic<int> id_{0};  // see Kernel::thread_id()

  absl::Mutex mutex_;
  std::uint64_t over_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string what_ ABSL_GUARDED_BY(mutex_);  // empty: it is not stuck, or is over
  std::int64_t since_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_reported_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t last_log_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: never
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_WATCHED_THREAD_H_
