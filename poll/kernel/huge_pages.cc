#include "epore/poll/kernel/huge_pages.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace epore::internal {
namespace {

void unmap(std::uintptr_t begin, std::uintptr_t end) {
  if (begin < end) (void)::munmap(reinterpret_cast<void*>(begin), end - begin);
}

}  // namespace

void* map_huge_page() {
  // Twice as much surely has an aligned one in it; the rest goes back.
  void* const mapped =
      ::mmap(nullptr, 2 * kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(mapped);
  const std::uintptr_t page = (begin + kHugePage - 1) & ~std::uintptr_t{kHugePage - 1};
  unmap(begin, page);
  unmap(page + kHugePage, begin + 2 * kHugePage);
  void* const memory = reinterpret_cast<void*>(page);
#ifdef MADV_HUGEPAGE
  (void)::madvise(memory, kHugePage, MADV_HUGEPAGE);  // EINVAL: this kernel has none
#endif
  return memory;
}

void unmap_huge_page(void* memory) {
  const auto page = reinterpret_cast<std::uintptr_t>(memory);
  unmap(page, page + kHugePage);
}

}  // namespace epore::internal
