#include "epore/poll/engine/io_uring_ring.h"

#include <linux/io_uring.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::internal {
namespace {

// Newer than the kernel headers of some distributions.
constexpr unsigned kSubmitAll = 1u << 7;      // IORING_SETUP_SUBMIT_ALL, Linux 5.18
constexpr unsigned kCoopTaskrun = 1u << 8;    // IORING_SETUP_COOP_TASKRUN, 5.19
constexpr unsigned kSingleIssuer = 1u << 12;  // IORING_SETUP_SINGLE_ISSUER, 6.0
constexpr unsigned kDeferTaskrun = 1u << 13;  // IORING_SETUP_DEFER_TASKRUN, 6.1

// The ring starts disabled, so that another thread than the creator's can own it.
constexpr unsigned kAlways = IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED | kSubmitAll;

constexpr unsigned kRegisterBufferRing = 22;  // IORING_REGISTER_PBUF_RING, 5.19

// As struct io_uring_buf_reg.
struct BufferRing {
  std::uint64_t table;
  std::uint32_t entries;
  std::uint16_t group;
  std::uint16_t flags;
  std::uint64_t reserved[3];
};

constexpr unsigned kOperations = 256;    // more go in several calls
constexpr unsigned kCompletions = 4096;  // more wait in the kernel (IORING_FEAT_NODROP)

unsigned load(const unsigned* word) {
  return std::atomic_ref(*const_cast<unsigned*>(word)).load(std::memory_order_acquire);
}
void store(unsigned* word, unsigned value) {
  std::atomic_ref(*word).store(value, std::memory_order_release);
}

}  // namespace

absl::StatusOr<std::unique_ptr<IoUringRing>> IoUringRing::create(Kernel& kernel) {
  SysResult done = SysResult(0);
  io_uring_params params;
  // The best first. EINVAL is a kernel that does not know a flag, and the last answer before 5.19.
  for (const unsigned flags : {kSingleIssuer | kDeferTaskrun, kCoopTaskrun}) {
    std::memset(&params, 0, sizeof params);
    params.flags = kAlways | flags;
    params.cq_entries = kCompletions;
    done = kernel.io_uring_setup(kOperations, &params);
    if (done.error() != EINVAL) break;
  }
  if (!done.ok()) return errno_status(done.error(), "io_uring_setup");
  OwnedFd fd(done.fd(), kernel);  // closes it if there is no memory below
  auto ring = absl::WrapUnique(new IoUringRing(kernel, std::move(fd)));

  done = ring->map(params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe),
                   IORING_OFF_SQ_RING, ring->queues_);
  if (done.ok()) {
    done = ring->map(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES, ring->operations_);
  }
  if (!done.ok()) return errno_status(done.error(), "mmap of a ring");
  const auto word = [&](unsigned at) { return reinterpret_cast<unsigned*>(&ring->queues_[at]); };
  ring->submit_head_ = word(params.sq_off.head);
  ring->submit_tail_ = word(params.sq_off.tail);
  ring->flags_ = word(params.sq_off.flags);
  ring->done_head_ = word(params.cq_off.head);
  ring->done_tail_ = word(params.cq_off.tail);
  ring->lost_ = word(params.cq_off.overflow);
  ring->is_deferred_ = (params.flags & kDeferTaskrun) != 0;
  ring->submit_size_ = params.sq_entries;
  ring->done_mask_ = params.cq_entries - 1;
  ring->done_ = reinterpret_cast<io_uring_cqe*>(&ring->queues_[params.cq_off.cqes]);
  for (unsigned i = 0; i < params.sq_entries; ++i) word(params.sq_off.array)[i] = i;

  done = kernel.io_uring_enter(ring->fd_.get(), 0, 0, 0, nullptr, 0);
  // A disabled ring refuses to be entered with EBADFD. Any other errno comes from a filter.
  if (done.error() != EBADFD) return errno_status(done.error(), "io_uring_enter");
  io_uring_probe probe;
  std::memset(&probe, 0, sizeof probe);
  done = kernel.io_uring_register(ring->fd_.get(), IORING_REGISTER_PROBE, &probe, 0);
  if (!done.ok()) return errno_status(done.error(), "io_uring_register");
  return ring;
}

IoUringRing::~IoUringRing() {
  for (const std::span<std::byte> memory : {queues_, operations_}) {
    if (!memory.empty()) (void)kernel_.munmap(memory.data(), memory.size());
  }
}

SysResult IoUringRing::map(std::size_t size, std::int64_t offset, std::span<std::byte>& memory) {
  const SysResult mapped =
      kernel_.mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_.get(), offset);
  if (mapped.ok()) memory = {reinterpret_cast<std::byte*>(mapped.value()), size};
  return mapped;
}

SysResult IoUringRing::enable() {
  return kernel_.io_uring_register(fd_.get(), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

SysResult IoUringRing::register_buffers(void* table, unsigned entries, std::uint16_t group) {
  BufferRing ring = {};
  ring.table = reinterpret_cast<std::uintptr_t>(table);
  ring.entries = entries;
  ring.group = group;
  return kernel_.io_uring_register(fd_.get(), kRegisterBufferRing, &ring, 1);
}

bool IoUringRing::is_all_submitted() const { return added_ == load(submit_head_); }

unsigned IoUringRing::room() const { return submit_size_ - (added_ - load(submit_head_)); }

io_uring_sqe& IoUringRing::add() {
  auto* const all = reinterpret_cast<io_uring_sqe*>(operations_.data());
  io_uring_sqe& operation = all[added_++ & (submit_size_ - 1)];
  std::memset(&operation, 0, sizeof operation);
  return operation;
}

SysResult IoUringRing::enter(std::int64_t timeout_ns) {
  store(submit_tail_, added_);
  const __kernel_timespec timeout = {timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  io_uring_getevents_arg argument = {};
  if (timeout_ns > 0) argument.ts = reinterpret_cast<std::uintptr_t>(&timeout);
  return kernel_.io_uring_enter(fd_.get(), added_ - load(submit_head_), timeout_ns != 0,
                                IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument,
                                sizeof argument);
}

bool IoUringRing::has_next() const { return *done_head_ != load(done_tail_); }

bool IoUringRing::has_none() const {
  return !has_next() && (load(flags_) & IORING_SQ_CQ_OVERFLOW) == 0;
}

bool IoUringRing::has_lost() const { return load(lost_) != 0; }

bool IoUringRing::next(io_uring_cqe& completion) {
  if (!has_next()) return false;
  completion = done_[*done_head_ & done_mask_];
  store(done_head_, *done_head_ + 1);
  return true;
}

}  // namespace epore::internal
