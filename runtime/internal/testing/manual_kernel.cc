#include "epore/runtime/internal/testing/manual_kernel.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/base/deadline.h"

namespace epore::internal {
namespace {

constexpr std::string_view kIsBusy =
    "until the runtime is idle: a callback, a blocking() function or the look-up of a name goes on";
constexpr std::string_view kIsAlone =
    "with a timeout of a ManualClock, which nobody has advanced: it goes on by itself now";
constexpr std::string_view kIsLeft =
    "in the destructor of a ManualClock for threads of a runtime that have not ended";

// The kernel that has started this thread.
thread_local const ManualKernel* owner = nullptr;

// Whether the last flock() of this thread was refused, and it has not looked at the clock since.
thread_local bool is_lock_refused = false;

std::int64_t to_nanoseconds(const timespec* time) {
  return time == nullptr ? kNever : std::int64_t{time->tv_sec} * 1'000'000'000 + time->tv_nsec;
}

bool is_any_ready(std::span<const pollfd> fds) {
  return std::any_of(fds.begin(), fds.end(), [](const pollfd& f) { return f.revents != 0; });
}

OwnedFd make_eventfd() {
  const int fd = ::eventfd(0, EFD_CLOEXEC);
  PCHECK(fd >= 0) << "ManualClock: eventfd";
  return OwnedFd(fd);
}

}  // namespace

ManualKernel::ManualKernel(Kernel& inner, absl::Duration patience)
    : PassingKernel(inner),
      patience_(patience),
      now_(inner.now()),
      mover_(std::this_thread::get_id()) {}

ManualKernel::~ManualKernel() {
  absl::MutexLock lock(&mutex_);
  while (threads_ > 0) {
    if (changed_.WaitWithTimeout(&mutex_, patience_)) warn(kIsLeft);
  }
}

// A sink of the log may ask for the time, so the log is told without the mutex.
void ManualKernel::warn(std::string_view what) {
  mutex_.Unlock();
  LOG(WARNING) << "epore: a thread has waited for " << patience_ << " " << what;
  mutex_.Lock();
}

bool ManualKernel::is_own_thread() const { return owner == this; }

void ManualKernel::advance(std::int64_t time) {
  absl::MutexLock lock(&mutex_);
  if (is_own_thread()) return move(time);
  mover_ = std::this_thread::get_id();
  // Each step begins in the moment in which the kernel is idle, so no deadline is passed over.
  for (std::int64_t left = time;;) {
    wait_until_idle();
    if (left == 0) return;
    const std::int64_t step = next_step(left);
    move(step);
    left -= step;
  }
}

// As far as the next deadline, but at most `most`.
std::int64_t ManualKernel::next_step(std::int64_t most) const {
  for (const Sleep& sleep : sleeps_) most = std::min(most, sleep.deadline - now_);
  return most;
}

// For a sleep of this thread that takes long. `moves` is moves_ at the last look. Nothing is done
// for a sleep without an end, or if the clock has moved since, or somebody is about to move it. A
// runtime that does not become idle keeps the clock no longer than for `patience_`.
void ManualKernel::move_for(const Sleep& sleep, std::uint64_t& moves, bool is_logged) {
  if (sleep.is_own || sleep.deadline == kNever) return;
  if (std::exchange(moves, moves_) != moves_ || movers_ > 0) return;
  ++movers_;
  if (is_logged) warn(kIsAlone);
  const absl::Time end_of_patience = absl::Now() + patience_;
  bool is_late = false;
  while (!has_reason_to_end(sleep)) {
    if (is_late || is_idle()) {
      move(is_late ? sleep.deadline - now_ : next_step(sleep.deadline - now_));
    } else if (changed_.WaitWithDeadline(&mutex_, end_of_patience)) {
      warn(kIsBusy);
      is_late = true;
    }
  }
  --movers_;
}

// Rings for the sleeps that are due. The others have their deadlines, and go on.
void ManualKernel::move(std::int64_t step) {
  now_ = saturating_add(step, now_);
  ++moves_;
  for (Sleep& sleep : sleeps_) {
    if (sleep.deadline > now_) continue;
    const std::uint64_t one = 1;
    if (sleep.bell >= 0) PCHECK(::write(sleep.bell, &one, sizeof one) == sizeof one);
    sleep.is_over = true;
    sleep.over.Signal();
  }
}

void ManualKernel::await_idle() {
  if (is_own_thread()) return;
  absl::MutexLock lock(&mutex_);
  wait_until_idle();
}

void ManualKernel::wait_until_idle() {
  ++movers_;
  while (!is_idle()) {
    if (changed_.WaitWithTimeout(&mutex_, patience_)) warn(kIsBusy);
  }
  --movers_;
}

// A thread whose sleep has a reason to end is going to take it out, which is a change.
bool ManualKernel::is_idle() {
  const auto is_own = [](const Sleep& sleep) { return sleep.is_own; };
  if (static_cast<std::size_t>(std::count_if(sleeps_.begin(), sleeps_.end(), is_own)) < threads_) {
    return false;
  }
  return std::none_of(sleeps_.begin(), sleeps_.end(),
                      [this](const Sleep& sleep) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                        return has_reason_to_end(sleep);
                      });
}

bool ManualKernel::has_reason_to_end(const Sleep& sleep) const {
  if (sleep.is_over || sleep.deadline <= now_) return true;
  std::vector<pollfd> fds = sleep.fds;
  if (fds.empty() || ::poll(fds.data(), fds.size(), 0) <= 0) return false;
  // A descriptor that was closed meanwhile ends no wait that has begun.
  return std::any_of(fds.begin(), fds.end(),
                     [](const pollfd& f) { return (f.revents & ~POLLNVAL) != 0; });
}

std::int64_t ManualKernel::time() const {
  absl::MutexLock lock(&mutex_);
  return now_;
}

std::int64_t ManualKernel::now() {
  is_lock_refused = false;
  absl::MutexLock lock(&mutex_);
  moves_seen_.emplace(std::this_thread::get_id(), moves_);
  return now_;
}

bool ManualKernel::is_timeout_exact() {
  const auto seen = moves_seen_.extract(std::this_thread::get_id());
  return seen.empty() || seen.mapped() == moves_;
}

ManualKernel::Sleeps::iterator ManualKernel::begin_sleep(std::int64_t timeout_ns) {
  Sleep& sleep = sleeps_.emplace_back();
  sleep.deadline = saturating_add(timeout_ns, now_);
  sleep.is_own = is_own_thread();
  changed_.SignalAll();
  return std::prev(sleeps_.end());
}

void ManualKernel::end_sleep(Sleeps::iterator sleep) {
  sleeps_.erase(sleep);
  changed_.SignalAll();
}

// Returns false if it took too long.
bool ManualKernel::poll_patiently(std::span<pollfd> fds) const {
  const int timeout = static_cast<int>(absl::ToInt64Milliseconds(patience_));
  int ready = 0;
  while ((ready = ::poll(fds.data(), fds.size(), timeout)) < 0) PCHECK(errno == EINTR);
  return ready > 0;
}

ManualKernel::End ManualKernel::wait_for(std::span<const pollfd> fds, std::int64_t timeout_ns) {
  const OwnedFd bell = make_eventfd();
  std::vector<pollfd> all(fds.begin(), fds.end());
  all.push_back(pollfd{bell.get(), POLLIN, 0});
  Sleeps::iterator sleep;
  std::uint64_t moves = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (!is_timeout_exact() && timeout_ns != kNever) return End::stale;
    sleep = begin_sleep(timeout_ns);
    sleep->fds.assign(fds.begin(), fds.end());
    sleep->bell = bell.get();
    moves = moves_;
  }
  while (!poll_patiently(all)) {
    absl::MutexLock lock(&mutex_);
    move_for(*sleep, moves, /*is_logged=*/true);
  }
  absl::MutexLock lock(&mutex_);
  end_sleep(sleep);
  return is_any_ready(std::span(all).first(fds.size())) ? End::ready : End::due;
}

SysResult ManualKernel::epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  const std::int64_t timeout_ns = timeout_ms < 0 ? kNever : std::int64_t{timeout_ms} * 1'000'000;
  return wait_for_queue(epfd, events, capacity, timeout_ns);
}

SysResult ManualKernel::epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                     const timespec* timeout) {
  return wait_for_queue(epfd, events, capacity, to_nanoseconds(timeout));
}

SysResult ManualKernel::wait_for_queue(int epfd, epoll_event* events, int capacity,
                                       std::int64_t timeout_ns) {
  End end = End::due;
  if (timeout_ns > 0) {
    const pollfd queue = {epfd, POLLIN, 0};
    end = wait_for(std::span(&queue, 1), timeout_ns);
  }
  const SysResult result = inner().epoll_wait(epfd, events, capacity, 0);
  // An event that is gone meanwhile is an early end, as by a signal.
  return end == End::ready && result.value() == 0 ? SysResult::from_errno(EINTR) : result;
}

SysResult ManualKernel::ppoll(pollfd* fds, std::size_t count, const timespec* timeout) {
  const std::int64_t timeout_ns = to_nanoseconds(timeout);
  End end = End::due;
  if (timeout_ns > 0) end = wait_for(std::span(fds, count), timeout_ns);
  const timespec at_once = {0, 0};
  const SysResult result = inner().ppoll(fds, count, &at_once);
  return end == End::ready && result.value() == 0 ? SysResult::from_errno(EINTR) : result;
}

// The work of a poll that fires is put off by the system, and told later: nobody could see in time
// that a ring has news.
SysResult ManualKernel::io_uring_setup(unsigned /*entries*/, io_uring_params* /*params*/) {
  return SysResult::from_errno(ENOSYS);
}

// Who holds the lock of a file may be another process, which has real time. So the pause before the
// next try (SocketFile) is real as well. A thread that waits until a deadline asks for now() first.
SysResult ManualKernel::flock(int fd, int operation) {
  const SysResult result = inner().flock(fd, operation);
  is_lock_refused = result.error() == EWOULDBLOCK;
  return result;
}

SysResult ManualKernel::park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                             std::int64_t timeout_ns) {
  const bool is_timed = timeout_ns >= 0;
  if (std::exchange(is_lock_refused, false) && is_timed) {
    return inner().park(word, expected, timeout_ns);
  }
  absl::MutexLock lock(&mutex_);
  if (!is_timeout_exact() && is_timed) return SysResult::from_errno(EINTR);
  // Whoever changes the word calls unpark() later, which takes the mutex.
  if (word.load(std::memory_order_acquire) != expected) return SysResult::from_errno(EAGAIN);
  const Sleeps::iterator sleep = begin_sleep(is_timed ? timeout_ns : kNever);
  sleep->word = &word;
  std::uint64_t moves = moves_;
  while (!sleep->is_over && sleep->deadline > now_) {
    const bool is_mover = mover_ == std::this_thread::get_id();
    const absl::Duration patience = is_mover ? patience_ / 10 : patience_;
    const bool is_late = sleep->over.WaitWithTimeout(&mutex_, patience);
    if (is_late) move_for(*sleep, moves, /*is_logged=*/!is_mover);
  }
  end_sleep(sleep);
  return SysResult(0);
}

SysResult ManualKernel::unpark(const std::atomic<std::uint32_t>& word, int count) {
  absl::MutexLock lock(&mutex_);
  int woken = 0;
  for (Sleep& sleep : sleeps_) {
    if (woken == count) break;
    if (sleep.word != &word || sleep.is_over) continue;
    sleep.is_over = true;
    sleep.over.Signal();
    ++woken;
  }
  if (woken > 0) changed_.SignalAll();  // for move_for()
  return SysResult(woken);
}

void ManualKernel::end_thread() {
  absl::MutexLock lock(&mutex_);
  --threads_;
  moves_seen_.erase(std::this_thread::get_id());
  changed_.SignalAll();
}

SysResult ManualKernel::start_thread(const char* name, std::function<void()> body,
                                     std::uint64_t* id) {
  {
    absl::MutexLock lock(&mutex_);
    ++threads_;
  }
  auto whole = [this, body = std::move(body)]() mutable {
    owner = this;
    body();
    body = nullptr;
    end_thread();
  };
  const SysResult started = inner().start_thread(name, std::move(whole), id);
  if (started.ok()) return started;
  absl::MutexLock lock(&mutex_);
  --threads_;
  changed_.SignalAll();
  return started;
}

SysResult ManualKernel::run_delay(int /*thread*/, std::int64_t* /*nanoseconds*/) {
  return SysResult::from_errno(ENOENT);
}

SysResult ManualKernel::thread_state(int /*thread*/, ThreadState* /*state*/) {
  return SysResult::from_errno(ENOENT);
}

SysResult ManualKernel::thread_cpu(int /*thread*/, std::int64_t* /*nanoseconds*/) {
  return SysResult::from_errno(EINVAL);
}

SysResult ManualKernel::thread_usage(ThreadUsage* /*usage*/) {
  return SysResult::from_errno(ENOSYS);
}

}  // namespace epore::internal
