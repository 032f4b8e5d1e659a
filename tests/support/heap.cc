#include "tests/support/heap.h"

#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "absl/base/config.h"

#if defined(__GLIBC__) && !defined(ABSL_HAVE_ADDRESS_SANITIZER) && \
    !defined(ABSL_HAVE_THREAD_SANITIZER) && !defined(ABSL_HAVE_MEMORY_SANITIZER)

namespace epore {
namespace {

std::atomic<bool> is_counting{false};
std::atomic<std::uint64_t> allocation_count{0};
std::atomic<std::int64_t> live_bytes{0};

// glibc keeps one word before each piece: see "MALLOC_ALIGN_MASK" in its malloc.c.
std::int64_t size_of(void* piece) {
  return static_cast<std::int64_t>(::malloc_usable_size(piece) + sizeof(std::size_t));
}

void* taken(void* piece) {
  if (is_counting.load(std::memory_order_relaxed) && piece != nullptr) {
    allocation_count.fetch_add(1, std::memory_order_relaxed);
    live_bytes.fetch_add(size_of(piece), std::memory_order_relaxed);
  }
  return piece;
}

void given_back(void* piece) {
  if (is_counting.load(std::memory_order_relaxed) && piece != nullptr) {
    live_bytes.fetch_sub(size_of(piece), std::memory_order_relaxed);
  }
}

}  // namespace

bool Heap::is_counted() { return true; }
void Heap::count(bool on) { is_counting.store(on, std::memory_order_seq_cst); }
Heap Heap::now() {
  return {allocation_count.load(std::memory_order_seq_cst),
          live_bytes.load(std::memory_order_seq_cst)};
}

}  // namespace epore

// glibc lets a program replace these and keeps its own under other names: "Replacing malloc" in its
// manual, and malloc/malloc.c.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* piece, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* piece);

void* malloc(std::size_t size) { return epore::taken(__libc_malloc(size)); }

void* calloc(std::size_t count, std::size_t size) {
  return epore::taken(__libc_calloc(count, size));
}

void* realloc(void* piece, std::size_t size) {
  epore::given_back(piece);
  return epore::taken(__libc_realloc(piece, size));
}

void* memalign(std::size_t alignment, std::size_t size) {
  return epore::taken(__libc_memalign(alignment, size));
}

void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }

int posix_memalign(void** piece, std::size_t alignment, std::size_t size) {
  *piece = memalign(alignment, size);
  return *piece != nullptr ? 0 : ENOMEM;
}

void free(void* piece) {
  epore::given_back(piece);
  __libc_free(piece);
}

}  // extern "C"

#else

namespace epore {

bool Heap::is_counted() { return false; }
void Heap::count(bool) {}
Heap Heap::now() { return {}; }

}  // namespace epore

#endif
