#ifndef EPORE_RUNTIME_INTERNAL_BASE_MAPPED_BLOCKS_H_
#define EPORE_RUNTIME_INTERNAL_BASE_MAPPED_BLOCKS_H_

#include <array>
#include <cstddef>

namespace epore::internal {

// MappedBlocks gives large blocks of memory from mmap(2). A thread keeps a few of them for the next
// long write queue.
//
// malloc() does not suit them. It cannot return freed memory of this size while later allocations
// lie above it. A program whose clients once were slow would stay large. A mapped block goes back
// to the system when it is freed, and its pages take memory only when they are written. The kept
// blocks save page faults for connections with slow peers; these cost as much as copying does.
class MappedBlocks {
 public:
  static constexpr std::size_t kSize = 256 * 1024;

  MappedBlocks() = default;
  MappedBlocks(const MappedBlocks&) = delete;
  MappedBlocks& operator=(const MappedBlocks&) = delete;
  ~MappedBlocks();

  // take() returns null if there is no memory.
  void* take();
  void give(void* block);

  // The same without keeping blocks, for threads of the program.
  static void* map();
  static void unmap(void* block);

 private:
  std::array<void*, 2> kept_ = {};
  std::size_t count_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_MAPPED_BLOCKS_H_
