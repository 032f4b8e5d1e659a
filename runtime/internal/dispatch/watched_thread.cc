#include "epore/runtime/internal/dispatch/watched_thread.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/log/log.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/base/tell.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kLogInterval = 1'000'000'000;  // ns

std::string duration(std::int64_t nanoseconds) {
  return absl::FormatDuration(absl::Trunc(absl::Nanoseconds(nanoseconds), absl::Milliseconds(1)));
}

}  // namespace

void WatchedThread::stuck(std::uint64_t number, std::string what, std::int64_t since,
                          std::int64_t run_delay) {
  const absl::MutexLock lock(&mutex_);
  if (over_ == number || number_ == number) return;
  number_ = number;
  what_ = std::move(what);
  since_ = since;
  run_delay_ = run_delay;
  is_reported_ = false;
}

void WatchedThread::over(std::uint64_t number, std::int64_t now) {
  std::string ended;
  std::int64_t since = 0;
  {
    const absl::MutexLock lock(&mutex_);
    over_ = number;
    if (what_.empty() || number_ != number) return;
    std::swap(ended, what_);
    if (!is_reported_) return;
    since = since_;
  }
  tell([&] {
    LOG(WARNING) << "epore: " << ended << " has held " << name_ << " for " << duration(now - since)
                 << "; callbacks must not block";
  });
}

bool WatchedThread::is_stuck() {
  const absl::MutexLock lock(&mutex_);
  return !what_.empty() && !is_reported_ && warn_after_ != kNever;
}

bool WatchedThread::is_blocked(std::int64_t now, std::int64_t run_delay) {
  const absl::MutexLock lock(&mutex_);
  return !what_.empty() && now - since_ - (run_delay - run_delay_) >= warn_after_;
}

void WatchedThread::report(std::int64_t now) {
  std::string what;
  std::int64_t since = 0;
  {
    const absl::MutexLock lock(&mutex_);
    if (what_.empty() || is_reported_) return;
    if (last_log_ != 0 && now - last_log_ < kLogInterval) return;
    last_log_ = now;
    is_reported_ = true;
    what = what_;
    since = since_;
  }
  tell([&] {
    LOG(WARNING) << "epore: " << what << " is holding " << name_ << ", for "
                 << duration(now - since) << " by now; callbacks must not block";
  });
}

}  // namespace epore::internal
