#include "epore/poll/engine/io_uring_ring.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::internal {
namespace {

// Newer than the kernel headers of some distributions.
constexpr unsigned kSubmitAll = 1u << 7;      // IORING_SETUP_SUBMIT_ALL, Linux 5.18
constexpr unsigned kCoopTaskrun = 1u << 8;    // IORING_SETUP_COOP_TASKRUN, 5.19
constexpr unsigned kTaskrunFlag = 1u << 9;    // IORING_SETUP_TASKRUN_FLAG, 5.19
constexpr unsigned kSingleIssuer = 1u << 12;  // IORING_SETUP_SINGLE_ISSUER, 6.0
constexpr unsigned kDeferTaskrun = 1u << 13;  // IORING_SETUP_DEFER_TASKRUN, 6.1
constexpr unsigned kWorkIsPending = 1u << 2;  // IORING_SQ_TASKRUN, 5.19

// The ring starts disabled, so that another thread than the creator's can own it.
constexpr unsigned kAlways = IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED | kSubmitAll;

constexpr unsigned kOperations = 256;    // more go in several calls
constexpr unsigned kCompletions = 4096;  // more wait in the kernel (IORING_FEAT_NODROP)

unsigned load(const unsigned* word) {
  return std::atomic_ref(*const_cast<unsigned*>(word)).load(std::memory_order_acquire);
}
void store(unsigned* word, unsigned value) {
  std::atomic_ref(*word).store(value, std::memory_order_release);
}

absl::Status refused(SysResult result, std::string_view call) {
  return errno_status(result.error(), call);
}

}  // namespace

IoUringRing::Memory::~Memory() {
  if (address != nullptr) (void)kernel.munmap(address, size);
}

SysResult IoUringRing::Memory::map(int ring, std::size_t bytes, std::int64_t offset) {
  const SysResult mapped =
      kernel.mmap(bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, offset);
  if (!mapped.ok()) return mapped;
  address = reinterpret_cast<std::byte*>(mapped.value());
  size = bytes;
  return mapped;
}

unsigned* IoUringRing::Memory::word(unsigned offset) const {
  return reinterpret_cast<unsigned*>(address + offset);
}

absl::StatusOr<std::unique_ptr<IoUringRing>> IoUringRing::create(Kernel& kernel) {
  auto ring = absl::WrapUnique(new IoUringRing(kernel));
  if (absl::Status bad = ring->set_up(); !bad.ok()) return bad;
  return ring;
}

IoUringRing::~IoUringRing() = default;

absl::Status IoUringRing::set_up() {
  SysResult made = SysResult(0);
  io_uring_params params;
  // The best first. EINVAL is a kernel that does not know a flag, and the last answer before 5.19.
  for (const unsigned flags : {kSingleIssuer | kDeferTaskrun, kCoopTaskrun}) {
    std::memset(&params, 0, sizeof params);
    params.flags = kAlways | kTaskrunFlag | flags;
    params.cq_entries = kCompletions;
    made = kernel_.io_uring_setup(kOperations, &params);
    if (made.error() != EINVAL) break;
  }
  if (!made.ok()) return refused(made, "io_uring_setup");
  fd_ = OwnedFd(made.fd(), kernel_);
  constexpr unsigned kNeeded = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
  if ((params.features & kNeeded) != kNeeded) {
    return refused(SysResult::from_errno(ENOSYS), "io_uring_setup: features");
  }

  const std::size_t size = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
  SysResult done = rings_.map(fd_.get(), size, IORING_OFF_SQ_RING);
  if (!done.ok()) return refused(done, "mmap of a ring");
  done = operations_.map(fd_.get(), params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
  if (!done.ok()) return refused(done, "mmap of a ring");
  submit_head_ = rings_.word(params.sq_off.head);
  submit_tail_ = rings_.word(params.sq_off.tail);
  flags_ = rings_.word(params.sq_off.flags);
  done_head_ = rings_.word(params.cq_off.head);
  done_tail_ = rings_.word(params.cq_off.tail);
  submit_size_ = params.sq_entries;
  done_mask_ = params.cq_entries - 1;
  done_ = reinterpret_cast<io_uring_cqe*>(rings_.address + params.cq_off.cqes);
  unsigned* const order = rings_.word(params.sq_off.array);
  for (unsigned i = 0; i < submit_size_; ++i) order[i] = i;

  // A disabled ring refuses to be entered with EBADFD. Any other errno comes from a filter.
  done = kernel_.io_uring_enter(fd_.get(), 0, 0, 0, nullptr, 0);
  if (done.error() != EBADFD) return refused(done, "io_uring_enter");
  io_uring_probe probe;
  std::memset(&probe, 0, sizeof probe);
  done = kernel_.io_uring_register(fd_.get(), IORING_REGISTER_PROBE, &probe, 0);
  if (!done.ok()) return refused(done, "io_uring_register");
  return absl::OkStatus();
}

SysResult IoUringRing::enable() {
  return kernel_.io_uring_register(fd_.get(), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

unsigned IoUringRing::room() const { return submit_size_ - (added_ - load(submit_head_)); }

io_uring_sqe& IoUringRing::add() {
  auto* const all = reinterpret_cast<io_uring_sqe*>(operations_.address);
  io_uring_sqe& operation = all[added_++ & (submit_size_ - 1)];
  std::memset(&operation, 0, sizeof operation);
  return operation;
}

SysResult IoUringRing::enter(unsigned min_complete, std::int64_t timeout_ns) {
  store(submit_tail_, added_);
  const unsigned submit = added_ - load(submit_head_);
  if (min_complete == 0 || timeout_ns < 0) {
    return kernel_.io_uring_enter(fd_.get(), submit, min_complete, IORING_ENTER_GETEVENTS, nullptr,
                                  0);
  }
  const __kernel_timespec timeout = {.tv_sec = timeout_ns / 1'000'000'000,
                                     .tv_nsec = timeout_ns % 1'000'000'000};
  io_uring_getevents_arg argument = {};
  argument.ts = reinterpret_cast<std::uintptr_t>(&timeout);
  return kernel_.io_uring_enter(fd_.get(), submit, min_complete,
                                IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument,
                                sizeof argument);
}

const io_uring_cqe* IoUringRing::front() const {
  const unsigned head = *done_head_;
  return head == load(done_tail_) ? nullptr : &done_[head & done_mask_];
}

void IoUringRing::pop() { store(done_head_, *done_head_ + 1); }

bool IoUringRing::has_more() const {
  return (load(flags_) & (kWorkIsPending | IORING_SQ_CQ_OVERFLOW)) != 0;
}

}  // namespace epore::internal
