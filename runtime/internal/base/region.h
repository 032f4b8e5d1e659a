#ifndef EPORE_RUNTIME_INTERNAL_BASE_REGION_H_
#define EPORE_RUNTIME_INTERNAL_BASE_REGION_H_

#include <cstddef>
#include <memory>
#include <vector>

namespace epore::internal {

// Memory for many small things, one next to the other, that is given back all at once.
//
// For what is looked at rarely but then all together, as timers are: on the way to each the
// processor may have to look up its page, which costs more than a cache miss, and here they fill
// few pages; beyond the first two megabytes huge ones, where the kernel has any. To clear one when
// it is first touched takes some 0.1 ms.
//
// It grows by blocks, to twice its size at most. One thread at a time.
class Region {
 public:
  Region() = default;
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Memory of this size, which is less than 4096 bytes. Throws std::bad_alloc.
  void* take(std::size_t size, std::size_t alignment);

 private:
  static constexpr std::size_t kFirstBlock = 4096;

  struct Free {
    std::size_t size;
    void operator()(std::byte* block) const;
  };
  void add_block();

  std::vector<std::unique_ptr<std::byte, Free>> blocks_;
  std::byte* at_ = nullptr;  // in the last one
  std::size_t left_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_REGION_H_
