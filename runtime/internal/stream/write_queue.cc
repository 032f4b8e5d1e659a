#include "epore/runtime/internal/stream/write_queue.h"

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/base/mapped_blocks.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {

struct WriteQueue::Block {
  enum class Kind : std::uint8_t { copied, shared, file, descriptors };

  Block* next;
  Block* last;         // of the whole queue; valid in the first block only
  std::size_t size;    // of the whole queue; valid in the first block only
  std::size_t shared;  // of it: shared bytes; valid in the first block only
  std::size_t begin;
  std::size_t end;
  std::size_t capacity;  // of copied bytes; otherwise 0
  std::uint32_t files;   // the parts of files in the queue; valid in the first block only
  Kind kind;

  bool is_file() const { return kind == Kind::file; }
  bool is_full() const { return kind != Kind::copied || end == capacity; }

  std::byte* room() { return reinterpret_cast<std::byte*>(this + 1); }
  const std::byte* bytes();  // of a block that is no file
  bool has_descriptors();    // which the system has not taken yet

  bool is_mapped() const { return sizeof(Block) + capacity == MappedBlocks::kSize; }

  static Block* create(std::size_t capacity) {
    return new (allocate(capacity)) Block{nullptr, nullptr, 0, 0, 0, 0, capacity, 0, Kind::copied};
  }
  static void* allocate(std::size_t capacity) {
    if (sizeof(Block) + capacity < MappedBlocks::kSize) {
      return ::operator new(sizeof(Block) + capacity);
    }
    IoBuffers* const buffers = this_thread.buffers;  // null on a thread of the program
    void* const memory = buffers != nullptr ? buffers->blocks.take() : MappedBlocks::map();
    return memory != nullptr ? memory : throw std::bad_alloc();
  }
};

// Of most messages to many it lives for one run only.
struct WriteQueue::SharedBlock : Block, InFrameCache {
  explicit SharedBlock(Bytes&& of)
      : Block{nullptr, nullptr, 0, 0, 0, of.size(), 0, 0, Kind::shared}, shared(std::move(of)) {}

  const Bytes shared;
};

struct WriteQueue::FileBlock : Block {
  explicit FileBlock(FilePart&& of)
      : Block{nullptr, nullptr, 0, 0, 0, 0, 0, 0, Kind::file}, part(std::move(of)) {}

  FilePart part;
};

struct WriteQueue::DescriptorBlock : Block {
  explicit DescriptorBlock(DescriptorPart&& of)
      : Block{nullptr, nullptr, 0, 0, 0, of.bytes.size(), 0, 0, Kind::descriptors},
        part(std::move(of)) {}

  DescriptorPart part;
};

inline const std::byte* WriteQueue::Block::bytes() {
  if (kind == Kind::shared) return static_cast<SharedBlock*>(this)->shared.data();
  if (kind == Kind::copied) return room();
  return reinterpret_cast<const std::byte*>(static_cast<DescriptorBlock*>(this)->part.bytes.data());
}

inline bool WriteQueue::Block::has_descriptors() {
  return kind == Kind::descriptors &&
         !static_cast<DescriptorBlock*>(this)->part.descriptors.empty();
}

void WriteQueue::destroy(Block* block) {
  switch (block->kind) {
    case Block::Kind::shared:
      delete static_cast<SharedBlock*>(block);
      return;
    case Block::Kind::file:
      delete static_cast<FileBlock*>(block);
      return;
    case Block::Kind::descriptors:
      delete static_cast<DescriptorBlock*>(block);
      return;
    case Block::Kind::copied:
      break;
  }
  if (!block->is_mapped()) {
    ::operator delete(block);
  } else if (IoBuffers* const buffers = this_thread.buffers; buffers != nullptr) {
    buffers->blocks.give(block);
  } else {
    MappedBlocks::unmap(block);
  }
}

std::size_t WriteQueue::size() const { return first_ == nullptr ? 0 : first_->size; }
std::size_t WriteQueue::copied_size() const {
  return first_ == nullptr ? 0 : first_->size - first_->shared;
}
bool WriteQueue::has_files() const { return first_ != nullptr && first_->files != 0; }

// Puts a block at the end.
void WriteQueue::link(Block* block, std::size_t size) {
  (first_ != nullptr ? first_->last->next : first_) = block;
  first_->last = block;
  first_->size += size;
  first_->shared += block->kind == Block::Kind::shared ? size : 0;
  first_->files += block->is_file() ? 1 : 0;
}

// Counts so many bytes of the first block no more.
void WriteQueue::uncount(std::size_t count) {
  first_->size -= count;
  if (first_->kind == Block::Kind::shared) first_->shared -= count;
}

void WriteQueue::append(std::span<const std::byte> bytes) {
  constexpr std::size_t kSmallest = 4 * 1024 - sizeof(Block);
  constexpr std::size_t kMuch = 16 * 1024;
  constexpr std::size_t kLargest = MappedBlocks::kSize - sizeof(Block);
  while (!bytes.empty()) {
    if (first_ == nullptr || first_->last->is_full()) {
      // A short queue has small blocks. A long one has large blocks, which take memory as they
      // fill.
      const std::size_t wanted = std::max(bytes.size(), size());
      link(Block::create(wanted > kMuch ? kLargest : std::max(wanted, kSmallest)), 0);
    }
    Block& last = *first_->last;
    const std::size_t count = std::min(bytes.size(), last.capacity - last.end);
    std::memcpy(last.room() + last.end, bytes.data(), count);
    last.end += count;
    first_->size += count;
    bytes = bytes.subspan(count);
  }
}

void WriteQueue::append(Bytes bytes) {
  const std::size_t size = bytes.size();
  link(new SharedBlock(std::move(bytes)), size);
}

void WriteQueue::append(FilePart part) { link(new FileBlock(std::move(part)), kFilePartSize); }

void WriteQueue::append(DescriptorPart part) {
  const std::size_t size = part.size();
  link(new DescriptorBlock(std::move(part)), size);
}

void WriteQueue::append_all(WriteQueue& other) {
  Block* const first = std::exchange(other.first_, nullptr);
  if (first == nullptr) return;
  if (first_ == nullptr) {
    first_ = first;
    return;
  }
  first_->last->next = first;
  first_->last = first->last;
  first_->size += first->size;
  first_->shared += first->shared;
  first_->files += first->files;
}

const FilePart* WriteQueue::front_file() const {
  if (first_ == nullptr || !first_->is_file()) return nullptr;
  return &static_cast<FileBlock*>(first_)->part;
}

std::span<const OwnedFd> WriteQueue::front_descriptors() const {
  if (first_ == nullptr || !first_->has_descriptors()) return {};
  return static_cast<DescriptorBlock*>(first_)->part.descriptors;
}

std::size_t WriteQueue::gather(std::span<iovec> vectors) const {
  // Descriptors go with the first byte of a call, and are to go with no byte of another send.
  if (!front_descriptors().empty())
    vectors = vectors.first(std::min<std::size_t>(1, vectors.size()));
  std::size_t count = 0;
  for (Block* block = first_; block != nullptr && !block->is_file() && count < vectors.size();
       block = block->next) {
    if (count != 0 && block->has_descriptors()) break;
    std::byte* const bytes = const_cast<std::byte*>(block->bytes());  // as iovec has it
    vectors[count++] = iovec{bytes + block->begin, block->end - block->begin};
  }
  return count;
}

void WriteQueue::consume(std::size_t count) {
  if (first_ != nullptr && first_->is_file()) {
    FilePart& part = static_cast<FileBlock*>(first_)->part;
    part.drop(count);
    if (part.left == 0) drop_first();
    return;
  }
  if (count != 0) close_descriptors();
  while (first_ != nullptr && !first_->is_file()) {
    const std::size_t taken = std::min(count, first_->end - first_->begin);
    first_->begin += taken;
    uncount(taken);
    count -= taken;
    if (first_->begin != first_->end) return;
    drop_first();
  }
}

// Closes the descriptors of the first block.
void WriteQueue::close_descriptors() {
  if (first_ == nullptr || !first_->has_descriptors()) return;
  std::vector<OwnedFd>& descriptors = static_cast<DescriptorBlock*>(first_)->part.descriptors;
  first_->size -= descriptors.size() * DescriptorPart::kDescriptorSize;
  descriptors.clear();
}

// Drops the first block, whose bytes are not counted any more.
void WriteQueue::drop_first() {
  Block* const next = first_->next;
  if (next != nullptr) {
    next->last = first_->last;
    next->size = first_->size - (first_->is_file() ? kFilePartSize : 0);
    next->shared = first_->shared;
    next->files = first_->files - (first_->is_file() ? 1 : 0);
  }
  destroy(first_);
  first_ = next;
}

void WriteQueue::clear() {
  while (first_ != nullptr) {
    close_descriptors();
    if (!first_->is_file()) uncount(first_->end - first_->begin);
    drop_first();
  }
}

}  // namespace epore::internal
