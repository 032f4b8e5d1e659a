#ifndef EPORE_RUNTIME_INTERNAL_BASE_IO_BUFFERS_H_
#define EPORE_RUNTIME_INTERNAL_BASE_IO_BUFFERS_H_

#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "epore/runtime/internal/base/mapped_blocks.h"

namespace epore::internal {

// Small pieces are copied together until there are kGathered bytes, and leave in one system call. A
// piece of kLarge or more is written from where it lies, as copying it costs more than a call.
inline constexpr std::size_t kGathered = 64 * 1024;
inline constexpr std::size_t kLarge = 16 * 1024;

// The bytes that the current run has sent and not written yet.
class Output {
 public:
  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  std::span<const std::byte> bytes() const { return {bytes_.data() + begin_, size()}; }
  bool is_full() const { return end_ >= kGathered; }

  // Requires !is_full() and a piece of less than kLarge.
  void append(std::span<const std::byte> piece) {
    std::memcpy(bytes_.data() + end_, piece.data(), piece.size());
    end_ += piece.size();
  }

  void drop(std::size_t count) {
    begin_ += count;
    if (empty()) clear();
  }
  void clear() { begin_ = end_ = 0; }

 private:
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::array<std::byte, kGathered + kLarge> bytes_;  // an untouched page costs no memory
};

// The buffers of a thread that runs callbacks. Every connection that runs on the thread reads into
// them and gathers its output in them, so an idle connection holds no buffer.
struct IoBuffers {
  Output output;
  // Larger is slower: with 64 KiB here, a stream of 64 KiB messages costs three times as much on
  // the loopback device. The bytes leave the cache, and the peer's window closes, before they are
  // sent.
  std::array<std::byte, 32 * 1024> read;
  MappedBlocks blocks;  // of long write queues
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_IO_BUFFERS_H_
