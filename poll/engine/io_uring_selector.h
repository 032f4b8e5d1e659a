#ifndef EPORE_POLL_ENGINE_IO_URING_SELECTOR_H_
#define EPORE_POLL_ENGINE_IO_URING_SELECTOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/engine/buffer_pool.h"
#include "epore/poll/engine/completion_queue.h"
#include "epore/poll/engine/file_identity.h"
#include "epore/poll/engine/io_uring_ring.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"

namespace epore::internal {

// The readiness engine over io_uring(7), Linux 5.19 and later. Each registration is one multishot
// poll operation, which posts a completion for each change. It does not read or write; the
// CompletionQueue, which shares the ring, receives.
//
// The ring belongs to the thread in wait(), as the kernel's best mode demands
// (IORING_SETUP_SINGLE_ISSUER). Every other thread changes the table only, and queues the slot. A
// write to an eventfd then ends a wait() that sleeps, and wait() submits what the queue names. When
// another thread comes to wait(), it makes a ring of its own and arms everything again. That takes
// a fraction of a microsecond for each registration, and reports each readiness that exists anew.
//
// The kernel keeps a file open while a poll is armed, whatever close(2) says. So remove()
// cancels the poll at once if the owner calls it, and lets the next wait() do it otherwise. If none
// comes, release() does it, as polls end with their ring.
//
// The kernel wakes a poll with the flags that the waker names. A socket's data wake names POLLPRI
// as well, so nearly every edge of a socket has the priority bit here: one read more each time.
class IoUringSelector final : public Selector {
 public:
  static constexpr std::string_view kName = "io_uring";

  // Errors: those of io_uring_setup(2), mmap(2) and eventfd(2), and whatever a filter says.
  static absl::StatusOr<std::unique_ptr<Selector>> create(Kernel& kernel);

  SysResult add(int fd, Token token, Interest interest) override {
    return apply(Change::add, fd, token, interest);
  }
  SysResult modify(int fd, Token token, Interest interest) override {
    return apply(Change::modify, fd, token, interest);
  }
  SysResult remove(int fd) override {
    return apply(Change::remove, fd, Token{0}, Interest::readable());
  }
  SysResult add_waker(std::shared_ptr<const OwnedFd> fd, Token token) override;
  SysResult wait(Events& events, std::int64_t timeout_ns) override;
  void release() override;
  Traits traits() const override { return {kName, true, -1, completions_.get()}; }

  // For the CompletionQueue, which shares the ring. Before the first wait(): gives the pool to it.
  absl::Status start(BufferPool& pool, const BufferPool::Limits& limits);
  // The owner, outside of wait(): submits what is queued. False: something is left.
  bool submit_now() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // What is known of one descriptor number.
  struct Slot {
    Token token{0};
    FileIdentity file;
    Interest interest = Interest::readable();
    bool is_registered = false;
    bool is_silent = false;     // after the event of a one-shot
    bool is_queued = false;     // in changed_
    std::uint32_t armed = 0;    // the number of its poll in the kernel; 0: none
    std::uint32_t retired = 0;  // of one that is to be cancelled; 0: none
  };
  enum class Change { add, modify, remove };

  IoUringSelector(Kernel& kernel, OwnedFd interrupt, std::unique_ptr<IoUringRing> ring)
      : kernel_(kernel),
        completions_(std::make_unique<CompletionQueue>(*this)),
        interrupt_(std::move(interrupt)),
        ring_(std::move(ring)) {}
  SysResult apply(Change change, int fd, Token token, Interest interest);
  void forget(int fd) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::unique_ptr<IoUringRing>> take_ring() ABSL_LOCKS_EXCLUDED(mutex_);
  SysResult submit_changes(IoUringRing& ring, bool may_sleep) ABSL_LOCKS_EXCLUDED(mutex_);
  void submit_slot(IoUringRing& ring, int fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::size_t collect(IoUringRing& ring, Events& events) ABSL_LOCKS_EXCLUDED(mutex_);
  void take(const io_uring_cqe& done, Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void retire(int fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Slot& slot(int fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Constant after construction.
  Kernel& kernel_;
  const std::unique_ptr<CompletionQueue> completions_;  // the owner's; before ring_, which fills it
  const OwnedFd interrupt_;  // an eventfd in the table: a change writes to it if wait() sleeps

  absl::Mutex mutex_;
  std::thread::id owner_ ABSL_GUARDED_BY(mutex_);              // nobody's before the first wait()
  std::unique_ptr<IoUringRing> ring_ ABSL_GUARDED_BY(mutex_);  // null while the owner uses it, or
                                                               // after release()
  std::vector<Slot> slots_ ABSL_GUARDED_BY(mutex_);            // by descriptor
  std::vector<int> changed_ ABSL_GUARDED_BY(mutex_);  // the slots that the kernel does not know yet
  std::uint32_t number_ ABSL_GUARDED_BY(mutex_) = 1;  // of the last poll; odd, so never 0
  bool is_sleeping_ ABSL_GUARDED_BY(mutex_) = false;  // wait() sleeps and nobody interrupts it yet
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_IO_URING_SELECTOR_H_
