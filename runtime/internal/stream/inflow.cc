#include "epore/runtime/internal/stream/inflow.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace epore::internal {

void Inflow::clear() {
  begin_ = nullptr;
  size_ = lent_ = capacity_ = 0;
  slab_ = Ref<ReadSlab>();
  own_ = nullptr;
  place_ = Place::none;
}

void Inflow::drop(std::size_t count) {
  if (count >= size_) {
    if (place_ != Place::none) clear();
    return;
  }
  begin_ += count;
  size_ -= count;
  lent_ -= std::min(lent_, count);
}

void Inflow::set_window(std::span<std::byte> bytes) {
  begin_ = bytes.data();
  size_ = bytes.size();
  lent_ = 0;
  place_ = Place::window;
}

void Inflow::keep(ReadBuffer& buffer) {
  if (place_ != Place::window) return;
  // Bytes before begin_ were dropped; they are part of what is kept.
  slab_ = buffer.keep(static_cast<std::size_t>(begin_ + size_ - buffer.current()));
  place_ = Place::slab;
}

void Inflow::keep(BufferPool::Memory memory) {
  own_ = std::move(memory.bytes);
  capacity_ = memory.size;
  place_ = Place::own;
}

std::span<std::byte> Inflow::room(std::size_t capacity) {
  if (place_ != Place::own || capacity_ < capacity) {
    // Twice as much each time, as each peek() may want one byte more than the last one.
    capacity = std::max(capacity, 2 * size_);
    auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (size_ != 0) std::memcpy(larger.get(), begin_, size_);
    own_ = std::move(larger);
    capacity_ = capacity;
    slab_ = Ref<ReadSlab>();
    place_ = Place::own;
  } else if (begin_ != own_.get()) {
    std::memmove(own_.get(), begin_, size_);
  }
  begin_ = own_.get();
  return {begin_ + size_, capacity_ - size_};
}

void Inflow::append(std::span<const std::byte> bytes) {
  const std::span<std::byte> free = room(size_ + bytes.size());
  std::memcpy(free.data(), bytes.data(), bytes.size());
  add(bytes.size());
}

void Inflow::put_back(std::span<const std::byte> bytes) {
  auto larger = std::make_unique_for_overwrite<std::byte[]>(bytes.size() + size_);
  std::memcpy(larger.get(), bytes.data(), bytes.size());
  if (size_ != 0) std::memcpy(larger.get() + bytes.size(), begin_, size_);
  const std::size_t size = bytes.size() + size_;
  clear();
  own_ = std::move(larger);
  begin_ = own_.get();
  size_ = capacity_ = size;
  place_ = Place::own;
}

}  // namespace epore::internal
