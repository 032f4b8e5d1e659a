#include "runtime/internal/region.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include "poll/sys/huge_pages.h"

namespace epore::internal {

void* Region::take(std::size_t size, std::size_t alignment) {
  void* memory = at_;
  if (at_ == nullptr || std::align(alignment, size, memory, left_) == nullptr) {
    add_block();
    memory = at_;
  }
  at_ = static_cast<std::byte*>(memory) + size;
  left_ -= size;
  return memory;
}

void Region::add_block() {
  const std::size_t size =
      blocks_.empty() ? kFirstBlock : std::min(2 * blocks_.back().get_deleter().size, kHugePage);
  blocks_.reserve(blocks_.size() + 1);
  std::byte* const block = static_cast<std::byte*>(::operator new (size, std::align_val_t{size}));
  blocks_.emplace_back(block, Free{size});
  if (size == kHugePage) advise_huge_pages(block, size);
  at_ = block;
  left_ = size;
}

void Region::Free::operator()(std::byte* block) const {
  ::operator delete (block, size, std::align_val_t{size});
}

}  // namespace epore::internal
