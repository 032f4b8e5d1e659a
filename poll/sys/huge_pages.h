#ifndef EPORE_POLL_SYS_HUGE_PAGES_H_
#define EPORE_POLL_SYS_HUGE_PAGES_H_

#include <cstddef>

namespace epore::internal {

// Asks for huge pages in this memory, which nobody has written to yet: a hint that changes nothing
// but the cost of an access. See MADV_HUGEPAGE in madvise(2).
void advise_huge_pages(void* memory, std::size_t size);

}  // namespace epore::internal

#endif  // EPORE_POLL_SYS_HUGE_PAGES_H_
