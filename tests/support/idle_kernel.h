#ifndef EPORE_TESTS_SUPPORT_IDLE_KERNEL_H_
#define EPORE_TESTS_SUPPORT_IDLE_KERNEL_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/support/clock_kernel.h"

namespace epore {

// A ClockKernel that knows which threads sleep: in a wait for events, or parked. They are known by
// the names that the runtime gives them. A wait for events is counted when it ends, so that counts
// are exact while its thread sleeps.
//
//   IdleKernel kernel;
//   Runtime runtime({.kernel = &kernel});
//   kernel.await_sleeps("epore-poll0", 1);
//   EXPECT_EQ(kernel.timeout("epore-poll0"), absl::InfiniteDuration());
class IdleKernel : public ClockKernel {
 public:
  explicit IdleKernel(Kernel& inner = Kernel::real()) : ClockKernel(inner) {}

  // How many of its waits have begun, but for those that are to return at once. Any thread.
  std::uint64_t sleeps(const std::string& thread) const;
  void await_sleeps(const std::string& thread, std::uint64_t count) const;

  // That of its last wait.
  absl::Duration timeout(const std::string& thread) const;

  // It is parked without a timeout, and nobody has changed the word that it waits for.
  bool is_parked_for_good(const std::string& thread) const;

  SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) override;
  SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                         const timespec* timeout) override;
  SysResult park(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 std::int64_t timeout_ns) override;

 protected:
  void begin_timed_wait(std::int64_t timeout_ns) override;

 private:
  struct Sleep {
    std::uint64_t count = 0;
    absl::Duration timeout;
    const std::atomic<std::uint32_t>* word = nullptr;
    std::uint32_t expected = 0;
  };

  void begin(absl::Duration timeout, const std::atomic<std::uint32_t>* word = nullptr,
             std::uint32_t expected = 0);

  mutable absl::Mutex sleeps_mutex_;
  std::map<std::string, Sleep> sleeps_ ABSL_GUARDED_BY(sleeps_mutex_);
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_IDLE_KERNEL_H_
