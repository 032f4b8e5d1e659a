#include "tests/support/heap.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <thread>

#include "gtest/gtest.h"

namespace epore {
namespace {

struct alignas(64) Aligned {
  char bytes[128];
};

// Kept by the compiler although nobody reads it.
void use(void* piece) { asm volatile("" : : "g"(piece) : "memory"); }

TEST(HeapTest, CountsEveryWayToAllocateAndWhatIsGivenBack) {
  if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has malloc()";
  const ScopedHeapCount count;
  auto plain = std::make_unique<char[]>(1000);
  use(plain.get());
  EXPECT_EQ(count.so_far().allocations, 1u);
  EXPECT_GE(count.so_far().bytes, 1000 + 8);
  EXPECT_LE(count.so_far().bytes, 1000 + 8 + 16);
  auto aligned = std::make_unique<Aligned>();
  use(aligned.get());
  EXPECT_EQ(count.so_far().allocations, 2u);
  void* piece = std::calloc(1, 100);
  piece = std::realloc(piece, 10'000);
  use(piece);
  EXPECT_EQ(count.so_far().allocations, 4u);
  std::free(piece);
  plain.reset();
  aligned.reset();
  EXPECT_EQ(count.so_far().allocations, 4u);
  EXPECT_EQ(count.so_far().bytes, 0);
}

TEST(HeapTest, CountsAllThreadsAndOnlyWhileItIsAskedTo) {
  if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has malloc()";
  const Heap before = Heap::now();
  use(std::make_unique<int>().get());
  EXPECT_EQ(Heap::now().allocations, before.allocations);
  const ScopedHeapCount count;
  std::thread([] { use(std::make_unique<int>().get()); }).join();
  EXPECT_GE(count.so_far().allocations, 1u);
}

}  // namespace
}  // namespace epore
