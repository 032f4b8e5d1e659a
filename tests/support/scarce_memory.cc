#include "tests/support/scarce_memory.h"

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace epore {
namespace {

constinit thread_local int passing = 0;  // so many allocations, and then
constinit thread_local int failing = 0;  // so many
constinit thread_local bool was_reached = false;

bool is_to_fail() {
  if (failing == 0) return false;
  if (passing > 0) {
    --passing;
    return false;
  }
  --failing;
  was_reached = true;
  return true;
}

void* try_allocate(std::size_t size, std::size_t alignment) {
  if (is_to_fail()) return nullptr;
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
  passing = k - 1;
  failing = 1;
}

void ScarceMemory::fail_all() {
  was_reached = false;
  passing = 0;
  failing = std::numeric_limits<int>::max();
}

bool ScarceMemory::stop() {
  failing = 0;
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
