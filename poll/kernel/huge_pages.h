#ifndef EPORE_POLL_KERNEL_HUGE_PAGES_H_
#define EPORE_POLL_KERNEL_HUGE_PAGES_H_

#include <cstddef>

namespace epore::internal {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

// A huge page's memory of zeros, aligned to its size, or null: there is none left. It is a huge
// page if the kernel has any to give when it is first touched (transparent huge pages, "madvise" or
// "always"), else 512 small ones. See mmap(2) and MADV_HUGEPAGE in madvise(2).
void* map_huge_page();

void unmap_huge_page(void* memory);

}  // namespace epore::internal

#endif  // EPORE_POLL_KERNEL_HUGE_PAGES_H_
