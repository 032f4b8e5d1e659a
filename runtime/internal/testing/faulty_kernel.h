#ifndef EPORE_RUNTIME_INTERNAL_TESTING_FAULTY_KERNEL_H_
#define EPORE_RUNTIME_INTERNAL_TESTING_FAULTY_KERNEL_H_

#include <sys/epoll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/testing/passing_kernel.h"

namespace epore::internal {

// A FaultyKernel is a Kernel whose network is bad. See FaultyNetwork, which is its public face.
//
// A runtime takes a short read for the last one: the system reports bytes that come later. Behind a
// read that was cut, bytes may be left. So this registers the descriptor once more, which reports
// them (EPOLL_CTL_MOD, epoll_ctl(2)). A ring cannot be told that way, so it is refused.
//
// A connect that fails is one of a Connector. So it is of a stream socket, and its thread holds no
// lock of a directory: that thread asks whether a Unix socket's file is stale (SocketFile), and
// would remove the file of a living server.
class FaultyKernel final : public PassingKernel {
 public:
  explicit FaultyKernel(Kernel& inner) : PassingKernel(inner) {}

  void shrink_reads(std::size_t limit) { read_limit_.store(limit, std::memory_order_relaxed); }
  void shrink_writes(std::size_t limit) { write_limit_.store(limit, std::memory_order_relaxed); }
  void fail_next_connect(int error) { connect_error_.store(error, std::memory_order_relaxed); }

  SysResult connect(int fd, const sockaddr* address, unsigned size) override;
  SysResult recv(int fd, void* buffer, std::size_t size, int flags) override;
  SysResult send(int fd, const void* bytes, std::size_t size, int flags) override;
  SysResult sendmsg(int fd, const msghdr* message, int flags) override;
  SysResult recvmsg(int fd, msghdr* message, int flags) override;
  SysResult sendfile(int to, int from, std::int64_t offset, std::size_t size) override;
  SysResult splice(int from, int to, std::size_t size, unsigned flags) override;
  SysResult flock(int fd, int operation) override;
  SysResult close(int fd) override;
  SysResult epoll_ctl(int epfd, int operation, int fd, epoll_event* event) override;
  SysResult io_uring_setup(unsigned entries, io_uring_params* params) override;

 private:
  struct Registered {
    int queue;
    epoll_event event;
  };

  bool is_stream(int fd) const;
  bool holds_lock() ABSL_LOCKS_EXCLUDED(mutex_);
  void report_rest(int fd) ABSL_LOCKS_EXCLUDED(mutex_);

  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

  // A test sets them, and the next calls of any thread see them; only they matter, so relaxed.
  std::atomic<std::size_t> read_limit_{kNoLimit};
  std::atomic<std::size_t> write_limit_{kNoLimit};
  std::atomic<int> connect_error_{0};

  absl::Mutex mutex_;
  std::map<int, Registered> registered_ ABSL_GUARDED_BY(mutex_);
  std::map<int, std::thread::id> locks_ ABSL_GUARDED_BY(mutex_);  // of files, and their threads
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TESTING_FAULTY_KERNEL_H_
