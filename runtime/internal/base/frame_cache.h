#ifndef EPORE_RUNTIME_INTERNAL_BASE_FRAME_CACHE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_FRAME_CACHE_H_

#include <cstddef>

namespace epore::internal {

// A FrameCache gives memory to objects that live for a short time: frames of coroutines, posted
// closures and mail. In steady state they need neither malloc() nor free(), also when one thread
// makes them and another one destroys them.
//
// Blocks begin with a cache line, because each cache line that passes between two processors costs
// time. There are 28 size classes: 64 bytes, then 8 bytes less than each multiple of that up to
// 1 KiB, then in steps of 256 bytes up to 4 KiB. Larger blocks come from operator new. Those of the
// classes with 8 bytes less come in slabs of sixteen: an aligned block of its own costs 64 to 80
// bytes more from malloc(), and each coroutine that waits has one.
//
// Each thread has two magazines of free blocks for each class. It takes blocks from one magazine
// and puts freed blocks into it. When that magazine is empty or full, the thread goes on with the
// other one.
//
// If both are full, one goes to a depot in exchange for an empty one. If both are empty, the thread
// gets a full one from the depot. So blocks travel back from the thread that frees to the thread
// that allocates, with one lock for a magazine. A thread that ends leaves its blocks to the depot.
// (Bonwick and Adams, "Magazines and Vmem", USENIX 2001.)
//
// A magazine has at most 64 blocks and 16 KiB. For each class the depot keeps at most 256 KiB, and
// frees more.
//
// Builds with AddressSanitizer have no cache, because it would hide errors.
class FrameCache {
 public:
  static constexpr std::size_t kCacheLine = 64;

  // Memory for `size` bytes, aligned to a cache line. Throws std::bad_alloc.
  static void* allocate(std::size_t size);

  // The same, but null without memory.
  static void* try_allocate(std::size_t size) noexcept;

  // Any thread frees what allocate(size) or try_allocate(size) returned.
  static void free(void* memory, std::size_t size) noexcept;
};

// The base of a class whose objects live in the cache. A class that is deleted through a base needs
// a virtual destructor there, so that free() gets the right size.
struct InFrameCache {
  static void* operator new(std::size_t size) { return FrameCache::allocate(size); }
  static void operator delete(void* memory, std::size_t size) { FrameCache::free(memory, size); }
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_FRAME_CACHE_H_
