#include "runtime/internal/write_queue.h"

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>

namespace epore::internal {

struct WriteQueue::Block {
  Block* next;
  std::size_t begin;
  std::size_t end;
  std::size_t capacity;

  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }

  static Block* create(std::size_t capacity) {
    return new (::operator new(sizeof(Block) + capacity)) Block{nullptr, 0, 0, capacity};
  }
  static void destroy(Block* block) { ::operator delete(block); }
};

void WriteQueue::append(std::span<const std::byte> bytes) {
  constexpr std::size_t kSmallest = 4 * 1024 - sizeof(Block);
  constexpr std::size_t kLargest = 64 * 1024 - sizeof(Block);
  while (!bytes.empty()) {
    if (last_ == nullptr || last_->end == last_->capacity) {
      // As large as what is queued already: few blocks for much, little for little.
      Block* block = Block::create(std::clamp(std::max(bytes.size(), size_), kSmallest, kLargest));
      (last_ != nullptr ? last_->next : first_) = block;
      last_ = block;
    }
    const std::size_t count = std::min(bytes.size(), last_->capacity - last_->end);
    std::memcpy(last_->bytes() + last_->end, bytes.data(), count);
    last_->end += count;
    size_ += count;
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
  size_ -= count;
  while (first_ != nullptr) {
    const std::size_t taken = std::min(count, first_->end - first_->begin);
    first_->begin += taken;
    count -= taken;
    if (first_->begin != first_->end) return;
    Block* next = first_->next;
    Block::destroy(first_);
    first_ = next;
    if (next == nullptr) last_ = nullptr;
  }
}

}  // namespace epore::internal
