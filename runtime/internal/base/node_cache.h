#ifndef EPORE_RUNTIME_INTERNAL_BASE_NODE_CACHE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_NODE_CACHE_H_

#include <cstddef>

namespace epore::internal {

// A NodeCache gives memory to objects that one thread makes and another one soon destroys: posted
// closures and mail. A post then needs neither malloc() nor free(). A node is one cache line,
// because each cache line that passes between two processors costs time.
//
// Each thread has two magazines of up to 64 free nodes. It takes nodes from one magazine and puts
// freed nodes into it. When that magazine is empty or full, the thread goes on with the other one.
//
// If both are full, one goes to a depot in exchange for an empty one. If both are empty, the thread
// gets a full one from the depot. So nodes travel back from the thread that runs closures to the
// thread that posts them, with one lock for 64 nodes. The depot keeps 64 magazines, 256 KiB of
// nodes, and frees more. A thread that ends leaves its nodes to the depot. (Bonwick and Adams,
// "Magazines and Vmem", USENIX 2001.)
//
// Builds with AddressSanitizer have no cache, because it would hide errors.
class NodeCache {
 public:
  static constexpr std::size_t kNodeSize = 64;

  // Any size. A size above kNodeSize comes from operator new.
  static void* allocate(std::size_t size);
  static void free(void* memory, std::size_t size);
};

// The base of a class whose objects live in nodes. A class that is deleted through a base needs a
// virtual destructor there, so that free() gets the right size.
struct InNodeCache {
  static void* operator new(std::size_t size) { return NodeCache::allocate(size); }
  static void operator delete(void* memory, std::size_t size) { NodeCache::free(memory, size); }
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_NODE_CACHE_H_
