#include "tests/support/scarce_memory.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace epore {
namespace {

constinit thread_local int left = 0;  // 0: none fails
constinit thread_local bool was_reached = false;

void* allocate(std::size_t size, std::size_t alignment) {
  if (left > 0 && --left == 0) {
    was_reached = true;
    throw std::bad_alloc();
  }
  void* const piece = alignment <= alignof(std::max_align_t)
                          ? std::malloc(size)
                          : std::aligned_alloc(alignment, (size + alignment - 1) & -alignment);
  if (piece == nullptr) throw std::bad_alloc();
  return piece;
}

}  // namespace

void ScarceMemory::fail(int k) {
  was_reached = false;
  left = k;
}

bool ScarceMemory::stop() {
  left = 0;
  return was_reached;
}

}  // namespace epore

// The other forms call these: "[new.delete]" in the standard.
void* operator new(std::size_t size) { return epore::allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return epore::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* piece) noexcept { std::free(piece); }
void operator delete(void* piece, std::size_t) noexcept { std::free(piece); }
void operator delete(void* piece, std::align_val_t) noexcept { std::free(piece); }
void operator delete(void* piece, std::size_t, std::align_val_t) noexcept { std::free(piece); }
