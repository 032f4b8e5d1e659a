#ifndef EPORE_POLL_ENGINE_IO_URING_RING_H_
#define EPORE_POLL_ENGINE_IO_URING_RING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/kernel/sys_result.h"
#include "epore/poll/owned_fd.h"

struct io_uring_cqe;
struct io_uring_sqe;

namespace epore::internal {

// A ring of io_uring(7) for one thread: the memory that the kernel shares, and the system calls.
// It knows nothing of what the operations mean.
//
// Threads: create() and the destructor on any thread. The thread that calls enable() owns the ring,
// and calls everything else.
class IoUringRing {
 public:
  // Makes a ring with one of the sets of flags that Linux 5.19 and 6.1 know. Errors: what the
  // system refuses it with. A seccomp filter may have any errno, also for the calls that come
  // later. So each is made once here, where it does nothing.
  static absl::StatusOr<std::unique_ptr<IoUringRing>> create(Kernel& kernel);
  ~IoUringRing();

  // Makes this thread the owner.
  SysResult enable();

  // Whether completions come only inside a call of the owner (IORING_SETUP_DEFER_TASKRUN, 6.1).
  bool is_deferred() const { return is_deferred_; }

  // Gives the kernel a table of buffers to receive into. Before enable(), or the owner.
  SysResult register_buffers(void* table, unsigned entries, std::uint16_t group);

  // Whether the kernel has taken every operation that was added.
  bool is_all_submitted() const;

  // How many operations may be added before the next enter().
  unsigned room() const;
  // An operation that is all zeros, for the caller to fill in. Requires room() > 0.
  io_uring_sqe& add();

  // Submits what was added and waits for a completion, at most for `timeout_ns`; zero does not
  // wait, a negative timeout waits for ever. Returns the number of operations that were submitted
  // if it is not 0, whatever came after that. Errors: ETIME after a timeout; EBADR: completions
  // were lost.
  SysResult enter(std::int64_t timeout_ns);

  // Whether there is a completion to take.
  bool has_next() const;
  // Whether there is none, here or waiting in the kernel for room (IORING_FEAT_NODROP).
  bool has_none() const;
  // Whether the kernel had no memory for one, ever.
  bool has_lost() const;
  // Takes the oldest completion, if there is any.
  bool next(io_uring_cqe& completion);

 private:
  IoUringRing(Kernel& kernel, OwnedFd fd) : kernel_(kernel), fd_(std::move(fd)) {}
  SysResult map(std::size_t size, std::int64_t offset, std::span<std::byte>& memory);

  Kernel& kernel_;
  const OwnedFd fd_;
  std::span<std::byte> queues_;
  std::span<std::byte> operations_;  // what the submission queue points to

  // Words of queues_. The kernel's side of each queue stores with release and is loaded with
  // acquire; so is ours.
  unsigned* submit_head_ = nullptr;  // the kernel's
  unsigned* submit_tail_ = nullptr;  // ours
  unsigned* flags_ = nullptr;        // the kernel's
  unsigned* done_head_ = nullptr;    // ours
  unsigned* done_tail_ = nullptr;    // the kernel's
  unsigned* lost_ = nullptr;         // the kernel's
  bool is_deferred_ = false;
  unsigned submit_size_ = 0;
  unsigned done_mask_ = 0;
  unsigned added_ = 0;  // the next value of submit_tail_
  io_uring_cqe* done_ = nullptr;
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_IO_URING_RING_H_
