#ifndef EPORE_RUNTIME_INTERNAL_BASE_MAPPED_BLOCKS_H_
#define EPORE_RUNTIME_INTERNAL_BASE_MAPPED_BLOCKS_H_

#include <array>
#include <cstddef>

namespace epore::internal {

// Large blocks of memory from mmap(2), of which a thread keeps a few for the next long queue.
//
// Not from malloc(): it keeps freed pieces of this size below whatever was allocated later, so that
// a program whose clients once were slow would stay large for ever. A mapped block goes back to the
// system when it is freed, and its pages take memory only when they are written. The few that are
// kept spare a connection with a slow peer the page faults, which cost as much as copying does.
class MappedBlocks {
 public:
  static constexpr std::size_t kSize = 256 * 1024;

  MappedBlocks() = default;
  MappedBlocks(const MappedBlocks&) = delete;
  MappedBlocks& operator=(const MappedBlocks&) = delete;
  ~MappedBlocks();

  // Null: there is no memory.
  void* take();
  void give(void* block);

  // The same for threads that keep none.
  static void* map();
  static void unmap(void* block);

 private:
  std::array<void*, 2> kept_ = {};
  std::size_t count_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_MAPPED_BLOCKS_H_
