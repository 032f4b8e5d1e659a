#ifndef EPORE_RUNTIME_INTERNAL_BASE_IO_BUFFERS_H_
#define EPORE_RUNTIME_INTERNAL_BASE_IO_BUFFERS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include "epore/runtime/internal/base/buffer_owner.h"
#include "epore/runtime/internal/base/mapped_blocks.h"
#include "epore/runtime/internal/base/pipe.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore::internal {

// Small pieces are copied together until there are kGathered bytes, and leave in one system call. A
// piece of kLarge or more is written from where it lies, as copying it costs more than a call.
inline constexpr std::size_t kGathered = 64 * 1024;
inline constexpr std::size_t kLarge = 16 * 1024;

// The bytes that a connection has sent and not written yet. The thread is in its order meanwhile.
// If another connection of the same order sends, the output of the first one is written before.
class Output {
 public:
  // The connection whose bytes these are. It may be gone if there are none.
  BufferOwner* owner = nullptr;

  // How many of the bytes came from other threads: the owner counts them as queued until then.
  std::size_t counted = 0;

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
    if (empty()) return clear();
    counted = std::min(counted, size());
  }
  void clear() { begin_ = end_ = counted = 0; }

 private:
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  // An untouched page costs no memory. Aligned, a short message is in one cache line.
  alignas(64) std::array<std::byte, kGathered + kLarge> bytes_;
};

// A block that a thread receives into. Connections keep a reference while a coroutine has a view of
// bytes in it.
struct ReadSlab : RefCounted {
  static constexpr std::size_t kSize = 64 * 1024;

  alignas(64) std::array<std::byte, kSize> bytes;  // as those of an Output
};

// Where a thread receives.
class ReadBuffer {
 public:
  // Larger is slower: with 64 KiB here, a stream of 64 KiB messages costs three times as much on
  // the loopback device. The bytes leave the cache, and the peer's window closes, before they are
  // sent.
  static constexpr std::size_t kWindow = 32 * 1024;

  // The connection with a view of received bytes in the window. The thread is in its order.
  BufferOwner* lent_to = nullptr;

  // The connection with the view keeps it.
  void keep_lent() {
    if (lent_to != nullptr) [[unlikely]]
      std::exchange(lent_to, nullptr)->keep_view();
  }

  // The room to receive into. The bytes are overwritten by the next call, unless they are kept.
  // Throws std::bad_alloc.
  std::span<std::byte> window() {
    keep_lent();
    if (!slab_ || used_ != 0) [[unlikely]]
      make_room();
    return std::span(slab_->bytes).subspan(used_, kWindow);
  }

  // The begin of the last window.
  const std::byte* current() const { return slab_->bytes.data() + used_; }

  // Keeps the first `count` bytes of the window as long as the result lives.
  Ref<ReadSlab> keep(std::size_t count) {
    used_ += (count + 63) / 64 * 64;
    return slab_;
  }

 private:
  void make_room();

  Ref<ReadSlab> slab_;
  std::size_t used_ = 0;
};

// The buffers of a thread that runs callbacks. Every connection that runs on the thread reads into
// them and gathers its output in them, so an idle connection holds no buffer.
struct IoBuffers {
  ReadBuffer read;
  Output output;
  MappedBlocks blocks;  // of long write queues
  PipeCache pipes;      // of splice()
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_IO_BUFFERS_H_
