#include "epore/runtime/internal/stream/write_queue.h"

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>

#include "epore/runtime/internal/base/mapped_blocks.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {

struct WriteQueue::Block {
  Block* next;
  Block* last;       // of the whole queue; valid in the first block only
  std::size_t size;  // of the whole queue; valid in the first block only
  std::size_t begin;
  std::size_t end;
  std::size_t capacity;

  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }

  bool is_mapped() const { return sizeof(Block) + capacity == MappedBlocks::kSize; }

  static Block* create(std::size_t capacity) {
    return new (allocate(capacity)) Block{nullptr, nullptr, 0, 0, 0, capacity};
  }
  static void* allocate(std::size_t capacity) {
    if (sizeof(Block) + capacity < MappedBlocks::kSize) {
      return ::operator new(sizeof(Block) + capacity);
    }
    IoBuffers* const buffers = this_thread.buffers;  // null on a thread of the program
    void* const memory = buffers != nullptr ? buffers->blocks.take() : MappedBlocks::map();
    return memory != nullptr ? memory : throw std::bad_alloc();
  }
  static void destroy(Block* block) {
    if (!block->is_mapped()) return ::operator delete(block);
    IoBuffers* const buffers = this_thread.buffers;
    buffers != nullptr ? buffers->blocks.give(block) : MappedBlocks::unmap(block);
  }
};

std::size_t WriteQueue::size() const { return first_ == nullptr ? 0 : first_->size; }

void WriteQueue::append(std::span<const std::byte> bytes) {
  constexpr std::size_t kSmallest = 4 * 1024 - sizeof(Block);
  constexpr std::size_t kMuch = 16 * 1024;
  constexpr std::size_t kLargest = MappedBlocks::kSize - sizeof(Block);
  while (!bytes.empty()) {
    if (first_ == nullptr || first_->last->end == first_->last->capacity) {
      // A short queue has small blocks. A long one has large blocks, which take memory as they
      // fill.
      const std::size_t wanted = std::max(bytes.size(), size());
      Block* block = Block::create(wanted > kMuch ? kLargest : std::max(wanted, kSmallest));
      (first_ != nullptr ? first_->last->next : first_) = block;
      first_->last = block;
    }
    Block& last = *first_->last;
    const std::size_t count = std::min(bytes.size(), last.capacity - last.end);
    std::memcpy(last.bytes() + last.end, bytes.data(), count);
    last.end += count;
    first_->size += count;
    bytes = bytes.subspan(count);
  }
}

std::size_t WriteQueue::gather(std::span<iovec> vectors) const {
  std::size_t count = 0;
  for (Block* block = first_; block != nullptr && count < vectors.size(); block = block->next) {
    vectors[count++] = iovec{block->bytes() + block->begin, block->end - block->begin};
  }
  return count;
}

void WriteQueue::consume(std::size_t count) {
  while (first_ != nullptr) {
    const std::size_t taken = std::min(count, first_->end - first_->begin);
    first_->begin += taken;
    first_->size -= taken;
    count -= taken;
    if (first_->begin != first_->end) return;
    Block* const next = first_->next;
    if (next != nullptr) {
      next->last = first_->last;
      next->size = first_->size;
    }
    Block::destroy(first_);
    first_ = next;
  }
}

}  // namespace epore::internal
