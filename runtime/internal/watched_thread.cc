#include "runtime/internal/watched_thread.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/log/log.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kLogInterval = 1'000'000'000;  // ns

std::string duration(std::int64_t nanoseconds) {
  return absl::FormatDuration(absl::Trunc(absl::Nanoseconds(nanoseconds), absl::Milliseconds(1)));
}

}  // namespace

void WatchedThread::stuck(std::uint64_t number, Ref<Runnable> runnable, std::int64_t since) {
  absl::MutexLock lock(&mutex_);
  if (over_ == number || number_ == number) return;
  number_ = number;
  std::swap(runnable_, runnable);  // no run is left there: over() took it
  since_ = since;
  is_reported_ = false;
}

void WatchedThread::over(std::uint64_t number, std::int64_t now) {
  Ref<Runnable> ended;
  std::int64_t since = 0;
  {
    absl::MutexLock lock(&mutex_);
    over_ = number;
    if (!runnable_ || number_ != number) return;
    std::swap(ended, runnable_);
    since = since_;
    if (now - since < kBlocked || !(is_reported_ || may_log(now))) return;
  }
  LOG(WARNING) << "epore: " << ended->describe() << " has held " << name_ << " for "
               << duration(now - since) << "; callbacks must not block";
}

bool WatchedThread::report(std::int64_t now) {
  Ref<Runnable> runnable;
  std::int64_t since = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (!runnable_ || is_reported_) return false;
    if (now - since_ < kBlocked || !may_log(now)) return true;
    is_reported_ = true;
    runnable = runnable_;
    since = since_;
  }
  LOG(WARNING) << "epore: " << runnable->describe() << " is holding " << name_ << ", for "
               << duration(now - since) << " by now; callbacks must not block";
  return false;
}

bool WatchedThread::may_log(std::int64_t now) {
  if (last_log_ != 0 && now - last_log_ < kLogInterval) return false;
  last_log_ = now;
  return true;
}

}  // namespace epore::internal
