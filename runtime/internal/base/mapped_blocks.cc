#include "epore/runtime/internal/base/mapped_blocks.h"

#include <sys/mman.h>

namespace epore::internal {

MappedBlocks::~MappedBlocks() {
  while (count_ > 0) unmap(kept_[--count_]);
}

void* MappedBlocks::take() { return count_ > 0 ? kept_[--count_] : map(); }

void MappedBlocks::give(void* block) {
  if (count_ == kept_.size()) return unmap(block);
  kept_[count_++] = block;
}

void* MappedBlocks::map() {
  void* const block =
      ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return block == MAP_FAILED ? nullptr : block;
}

void MappedBlocks::unmap(void* block) { ::munmap(block, kSize); }

}  // namespace epore::internal
