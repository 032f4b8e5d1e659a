#include "tests/support/scarce_memory.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace epore {
namespace {

constinit thread_local int left = 0;  // 0: none fails
constinit thread_local bool was_reached = false;

void* try_allocate(std::size_t size, std::size_t alignment) {
  if (left > 0 && --left == 0) {
    was_reached = true;
    return nullptr;
  }
  return alignment <= alignof(std::max_align_t)
             ? std::malloc(size)
             : std::aligned_alloc(alignment, (size + alignment - 1) & -alignment);
}

void* allocate(std::size_t size, std::size_t alignment) {
  void* const piece = try_allocate(size, alignment);
  return piece != nullptr ? piece : throw std::bad_alloc();
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

// All forms: those that are missing are a sanitizer's, and its own do not go with these.
using Size = std::size_t;
using Align = std::align_val_t;
using NoThrow = std::nothrow_t;
void* operator new(Size size) { return epore::allocate(size, 0); }
void* operator new[](Size size) { return epore::allocate(size, 0); }
void* operator new(Size size, Align alignment) {
  return epore::allocate(size, static_cast<Size>(alignment));
}
void* operator new[](Size size, Align alignment) {
  return epore::allocate(size, static_cast<Size>(alignment));
}
void* operator new(Size size, const NoThrow&) noexcept { return epore::try_allocate(size, 0); }
void* operator new[](Size size, const NoThrow&) noexcept { return epore::try_allocate(size, 0); }
void* operator new(Size size, Align alignment, const NoThrow&) noexcept {
  return epore::try_allocate(size, static_cast<Size>(alignment));
}
void* operator new[](Size size, Align alignment, const NoThrow&) noexcept {
  return epore::try_allocate(size, static_cast<Size>(alignment));
}
void operator delete(void* piece) noexcept { std::free(piece); }
void operator delete[](void* piece) noexcept { std::free(piece); }
void operator delete(void* piece, Size) noexcept { std::free(piece); }
void operator delete[](void* piece, Size) noexcept { std::free(piece); }
void operator delete(void* piece, Align) noexcept { std::free(piece); }
void operator delete[](void* piece, Align) noexcept { std::free(piece); }
void operator delete(void* piece, Size, Align) noexcept { std::free(piece); }
void operator delete[](void* piece, Size, Align) noexcept { std::free(piece); }
void operator delete(void* piece, const NoThrow&) noexcept { std::free(piece); }
void operator delete[](void* piece, const NoThrow&) noexcept { std::free(piece); }
void operator delete(void* piece, Align, const NoThrow&) noexcept { std::free(piece); }
void operator delete[](void* piece, Align, const NoThrow&) noexcept { std::free(piece); }
