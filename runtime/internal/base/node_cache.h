#ifndef EPORE_RUNTIME_INTERNAL_BASE_NODE_CACHE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_NODE_CACHE_H_

#include <cstddef>

namespace epore::internal {

// Memory for what one thread makes and another soon destroys, a posted closure or mail, so that a
// post costs no malloc() and no free(). A node is a cache line: between two processors it is what
// it costs to hand one over, and again when it comes back.
//
// Each thread has two magazines of up to 64 free nodes. It takes nodes from the one and puts freed
// ones into it; where one magazine is empty or full the other takes its place. A full one that is
// in the way goes to a depot, for an empty one, and a thread that has no nodes gets it there, for
// its empty one: so nodes travel back from the thread that runs closures to the one that posts
// them, with one lock for 64. The depot keeps 64 magazines, 256 KiB of nodes, and frees what is
// beyond. A thread that ends leaves its nodes to the depot. (Bonwick and Adams, "Magazines and
// Vmem", USENIX 2001.)
//
// With AddressSanitizer there is no cache, which would hide what it is to find.
class NodeCache {
 public:
  static constexpr std::size_t kNodeSize = 64;

  // Any size; what is larger than a node comes from operator new.
  static void* allocate(std::size_t size);
  static void free(void* memory, std::size_t size);
};

// Base for what lives in such nodes. What is deleted through a base class needs a virtual
// destructor there, which tells free() the right size.
struct InNodeCache {
  static void* operator new(std::size_t size) { return NodeCache::allocate(size); }
  static void operator delete(void* memory, std::size_t size) { NodeCache::free(memory, size); }
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_NODE_CACHE_H_
