#ifndef EPORE_POLL_ENGINE_BUFFER_POOL_H_
#define EPORE_POLL_ENGINE_BUFFER_POOL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "epore/poll/engine/io_uring_ring.h"

namespace epore::internal {

// The buffers that a ring receives into, which the kernel takes one after the other from a table
// that both share. See io_uring_register(2), IORING_REGISTER_PBUF_RING.
//
// The kernel goes through all buffers before it takes one again, so the pool is small while that is
// enough, and grows when it was dry: memory that the caches have lost makes a message slower.
//
// Threads: start() before the ring has an owner, everything else on the owner's thread. Only
// start() throws.
class BufferPool {
 public:
  using Id = std::uint16_t;

  static constexpr std::size_t kSize = 4096;  // of a buffer
  static constexpr Id kGroup = 1;
  static constexpr unsigned kMost = 1024;

  // The number of buffers at first, and the most; at most kMost.
  struct Limits {
    unsigned first = 64;
    unsigned most = kMost;
  };

  // Gives the ring the table and the first buffers. With another ring than before, the pool begins
  // again: all buffers that are not taken are that ring's. Errors: Unimplemented before Linux 6.1;
  // otherwise what the system refuses it with.
  absl::Status start(IoUringRing& ring, const Limits& limits);

  const Limits& limits() const { return limits_; }

  // The kernel has filled a buffer, which is the caller's until give_back() or detach().
  void take(Id id) {
    buffers_[id].is_taken = true;
    --free_;
  }
  // Whether the kernel has no buffer.
  bool is_dry() const { return free_ == 0; }
  // How many the kernel has filled and nobody has given back.
  std::size_t taken() const { return buffers_.size() - free_; }
  std::span<std::byte> bytes(Id id) const;
  void give_back(Id id);

  // The memory of a taken buffer. Another one takes its place, as soon as there is memory.
  struct Memory {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
  };
  Memory detach(Id id);

  // Adds as many buffers as there are, up to the limit, and replaces what detach() could not. Less
  // without memory.
  void grow();

 private:
  // As struct io_uring_buf, which the kernel headers of some distributions do not have. The kernel
  // reads `tail` of the first one only.
  struct Entry {
    std::uint64_t address;
    std::uint32_t size;
    std::uint16_t id;
    std::uint16_t tail;
  };
  struct alignas(4096) Table {
    std::array<Entry, kMost> entries;
  };
  struct Buffer {
    std::unique_ptr<std::byte[]> memory;  // null: detached, and there was no memory for another
    bool is_taken = false;
  };

  static std::unique_ptr<std::byte[]> allocate();
  void provide(Id id);

  Limits limits_;
  std::unique_ptr<Table> table_;
  std::vector<Buffer> buffers_;  // by id
  std::size_t free_ = 0;         // the kernel's
  std::uint16_t tail_ = 0;       // where the next buffer comes in the table, modulo its size
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_BUFFER_POOL_H_
