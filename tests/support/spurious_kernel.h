#ifndef EPORE_TESTS_SUPPORT_SPURIOUS_KERNEL_H_
#define EPORE_TESTS_SUPPORT_SPURIOUS_KERNEL_H_

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/fault_kernel.h"

namespace epore {

// A FaultKernel whose event queue also tells what is not true: besides real events, some of those
// that were ever asked for come again, whether there is something to read or write or not, also of
// descriptors that are gone. Readiness is a hint; nothing may go wrong by it.
class SpuriousKernel : public FaultKernel {
 public:
  SysResult epoll_ctl(int epfd, int operation, int fd, epoll_event* event) override;
  SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) override;
  SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                         const timespec* timeout) override;
  SysResult ppoll(pollfd* fds, std::size_t count, const timespec* timeout) override;

  std::uint64_t spurious() const;  // events that were made up so far

 private:
  SysResult add_spurious(SysResult real, epoll_event* events, int capacity);
  bool toss() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);  // true in three of ten

  mutable absl::Mutex mutex_;
  std::vector<std::uint64_t> tokens_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t seed_ ABSL_GUARDED_BY(mutex_) = 1;
  std::uint64_t spurious_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_SPURIOUS_KERNEL_H_
