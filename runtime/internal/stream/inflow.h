#ifndef EPORE_RUNTIME_INTERNAL_STREAM_INFLOW_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_INFLOW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "epore/poll/engine/buffer_pool.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/base/io_buffers.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore::internal {

// An Inflow holds the bytes that a connection has received for its coroutines, and that these have
// not consumed yet. Its order only.
//
// The bytes are in one of three places, and usually nowhere:
//
//   window  In the read buffer of the thread, while the coroutine that reads them runs. The thread
//           may overwrite them when the coroutine suspends. Or in a buffer of its ring.
//   slab    At the same address, but the Inflow has a reference to the block. keep() does this when
//           a coroutine suspends with a view, or leaves bytes. The thread receives behind them.
//   own     In a buffer of the connection, for a read that needs more bytes than have arrived, or
//           for bytes that stay and were in a buffer of the ring.
//
// The first bytes may be lent: a coroutine has a view of them. The next read drops lent bytes.
//
// It is in the FrameCache, so that each message may make one: 500 connections that wait do not have
// 500 of them, and the one in use stays in the cache of the processor.
class Inflow : public InFrameCache {
 public:
  Inflow() = default;
  Inflow(const Inflow&) = delete;
  Inflow& operator=(const Inflow&) = delete;

  std::span<const std::byte> bytes() const { return {begin_, size_}; }
  bool empty() const { return size_ == 0; }

  // Lends the first `count` bytes until drop_lent().
  void lend(std::size_t count) { lent_ = count; }

  // Whether nothing is left for the next read.
  bool is_all_lent() const { return lent_ == size_; }

  // Nobody has taken the view: the bytes are not lent any more.
  void take_back() { lent_ = 0; }

  // Another read begins, which looks for a delimiter of its own.
  void begin_read() {
    drop_lent();
    searched = 0;
  }

  void drop_lent() { drop(std::exchange(lent_, 0)); }

  // Drops the first `count` bytes, at most all.
  void drop(std::size_t count);

  // The bytes were received into the window of `buffer`. Requires that there are none.
  void set_window(std::span<std::byte> bytes);

  // The bytes may stay when the thread goes on.
  void keep(ReadBuffer& buffer);
  bool is_in_window() const { return place_ == Place::window; }
  void keep(BufferPool::Memory memory);  // where they are already, of a buffer of the ring

  // Room behind the bytes in a buffer of `capacity` bytes or more. Moves the bytes there, so no
  // view may be lent. Throws std::bad_alloc.
  std::span<std::byte> room(std::size_t capacity);
  void add(std::size_t count) { size_ += count; }  // received into the room

  // Adds a copy behind the bytes, as room() does. Throws std::bad_alloc.
  void append(std::span<const std::byte> bytes);

  // Puts bytes back in front. Throws std::bad_alloc.
  void put_back(std::span<const std::byte> bytes);

  // How far a read_until() has looked in vain: its delimiter does not begin before this.
  std::uint32_t searched = 0;

 private:
  enum class Place : unsigned char { none, window, slab, own };

  void clear();

  Place place_ = Place::none;  // in the word of `searched`
  std::byte* begin_ = nullptr;
  std::size_t size_ = 0;
  std::size_t lent_ = 0;
  Ref<ReadSlab> slab_;
  std::unique_ptr<std::byte[]> own_;
  std::size_t capacity_ = 0;  // of own_
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_INFLOW_H_
