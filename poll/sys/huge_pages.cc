#include "poll/sys/huge_pages.h"

#include <sys/mman.h>

#include <cstddef>

namespace epore::internal {

void advise_huge_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) {
#ifdef MADV_HUGEPAGE
  (void)::madvise(memory, size, MADV_HUGEPAGE);  // EINVAL: this kernel has none
#endif
}

}  // namespace epore::internal
