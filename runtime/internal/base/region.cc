#include "epore/runtime/internal/base/region.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include "epore/poll/kernel/huge_pages.h"

namespace epore::internal {
namespace {

constexpr std::align_val_t kBlockAlignment{4096};

void* allocate_block(std::size_t size) {
  if (size < kHugePage) return ::operator new(size, kBlockAlignment);
  if (void* const memory = map_huge_page(); memory != nullptr) return memory;
  throw std::bad_alloc();
}

}  // namespace

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
  at_ = static_cast<std::byte*>(allocate_block(size));
  left_ = size;
  blocks_.emplace_back(at_, Free{size});
}

void Region::Free::operator()(std::byte* block) const {
  if (size < kHugePage) {
    ::operator delete(block, size, kBlockAlignment);
  } else {
    unmap_huge_page(block);
  }
}

}  // namespace epore::internal
