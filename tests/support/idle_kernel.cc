#include "tests/support/idle_kernel.h"

#include <poll.h>

#include <cerrno>

#include "absl/log/check.h"
#include "tests/support/thread_name.h"

namespace epore {
std::uint64_t IdleKernel::sleeps(const std::string& thread) const {
  absl::MutexLock lock(&sleeps_mutex_);
  const auto found = sleeps_.find(thread);
  return found == sleeps_.end() ? 0 : found->second.count;
}

void IdleKernel::await_sleeps(const std::string& thread, std::uint64_t count) const {
  absl::MutexLock lock(&sleeps_mutex_);
  const auto are_there = [&]() ABSL_SHARED_LOCKS_REQUIRED(sleeps_mutex_) {
    const auto found = sleeps_.find(thread);
    return found != sleeps_.end() && found->second.count >= count;
  };
  sleeps_mutex_.Await(absl::Condition(&are_there));
}

absl::Duration IdleKernel::timeout(const std::string& thread) const {
  absl::MutexLock lock(&sleeps_mutex_);
  return sleeps_.at(thread).timeout;
}

bool IdleKernel::is_parked_for_good(const std::string& thread) const {
  absl::MutexLock lock(&sleeps_mutex_);
  const auto found = sleeps_.find(thread);
  if (found == sleeps_.end() || found->second.word == nullptr) return false;
  const Sleep& sleep = found->second;
  return sleep.word->load(std::memory_order_seq_cst) == sleep.expected;
}

SysResult IdleKernel::epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) {
  if (timeout_ms >= 0) return ClockKernel::epoll_wait(epfd, events, capacity, timeout_ms);
  begin(absl::InfiniteDuration());
  pollfd queue = {epfd, POLLIN, 0};
  while (::poll(&queue, 1, -1) < 0) PCHECK(errno == EINTR);
  const SysResult result = ClockKernel::epoll_wait(epfd, events, capacity, 0);
  return result.value() == 0 ? SysResult::from_errno(EINTR) : result;
}

SysResult IdleKernel::epoll_pwait2(int epfd, epoll_event* events, int capacity,
                                   const timespec* timeout) {
  if (timeout == nullptr) return epoll_wait(epfd, events, capacity, -1);
  return ClockKernel::epoll_pwait2(epfd, events, capacity, timeout);
}

SysResult IdleKernel::park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                           std::int64_t timeout_ns) {
  if (timeout_ns < 0) begin(absl::InfiniteDuration(), &word, expected);
  return ClockKernel::park(word, expected, timeout_ns);
}

void IdleKernel::begin_timed_wait(std::int64_t timeout_ns) { begin(absl::Nanoseconds(timeout_ns)); }

void IdleKernel::begin(absl::Duration timeout, const std::atomic<std::uint32_t>* word,
                       std::uint32_t expected) {
  const std::string thread = thread_name();
  absl::MutexLock lock(&sleeps_mutex_);
  Sleep& sleep = sleeps_[thread];
  ++sleep.count;
  sleep.timeout = timeout;
  sleep.word = word;
  sleep.expected = expected;
}

}  // namespace epore
