#include "epore/runtime/internal/dispatch/watched_thread.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
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
  ++so_far_.count;
}

void WatchedThread::Stuck::add(Stuck other) {
  count += other.count;
  if (other.longest <= longest) return;
  longest = other.longest;
  std::swap(what, other.what);
}

WatchedThread::Stuck WatchedThread::stuck_so_far(absl::FunctionRef<std::int64_t()> now) {
  const absl::MutexLock lock(&mutex_);
  if (what_.empty()) return so_far_;
  const std::int64_t held = now() - since_;
  if (held <= so_far_.longest) return so_far_;
  return {.count = so_far_.count, .longest = held, .what = what_};
}

void WatchedThread::over(std::uint64_t number, std::int64_t now) {
  std::string ended;
  std::int64_t held = 0;
  bool is_reported = false;
  {
    const absl::MutexLock lock(&mutex_);
    over_ = number;
    if (what_.empty() || number_ != number) return;
    std::swap(ended, what_);
    held = now - since_;
    is_reported = is_reported_;
  }
  if (is_reported) {
    tell([&] {
      LOG(WARNING) << "epore: " << ended << " has held " << name_ << " for " << duration(held)
                   << "; callbacks must not block";
    });
  }
  const absl::MutexLock lock(&mutex_);
  if (held <= so_far_.longest) return;
  so_far_.longest = held;
  std::swap(so_far_.what, ended);
}

std::string WatchedThread::what() {
  const absl::MutexLock lock(&mutex_);
  return what_;
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
