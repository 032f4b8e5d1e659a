#include "epore/runtime/internal/base/object_pool.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/heap.h"

namespace epore::internal {
namespace {

constexpr std::size_t kSize = 80;

std::vector<void*> allocate(ObjectPool& pool, std::size_t count) {
  std::vector<void*> objects;
  for (std::size_t i = 0; i < count; ++i) {
    objects.push_back(pool.allocate());
    std::memset(objects.back(), 1, kSize);
  }
  return objects;
}

TEST(ObjectPoolTest, WhatLivesAtTheSameTimeDiffersAndIsAligned) {
  ObjectPool pool(kSize, 16);
  const std::vector<void*> objects = allocate(pool, 1000);
  EXPECT_EQ(std::set<void*>(objects.begin(), objects.end()).size(), objects.size());
  for (void* object : objects) EXPECT_EQ(reinterpret_cast<std::uintptr_t>(object) % 16, 0u);
}

TEST(ObjectPoolTest, WhatIsFreedIsUsedAgain) {
  ObjectPool pool(kSize, 16);
  std::vector<void*> objects = allocate(pool, 1000);
  const std::set<void*> first(objects.begin(), objects.end());
  for (void* object : objects) pool.free(object);
  const ScopedHeapCount heap;
  void* const one = pool.allocate();
  EXPECT_TRUE(first.contains(one));
  pool.free(one);
  if (Heap::is_counted()) {
    EXPECT_EQ(heap.so_far().allocations, 0u);
  }
  objects = allocate(pool, 1000);
  EXPECT_EQ(std::set<void*>(objects.begin(), objects.end()), first);
}

// Each thread frees what another has allocated.
TEST(ObjectPoolTest, AnyThreadAllocatesAndFrees) {
  constexpr std::size_t kThreads = 3;
  ObjectPool pool(kSize, 16);
  std::vector<std::vector<void*>> objects(kThreads);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::vector<void*>> next(kThreads);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        for (void* object : objects[(i + 1) % kThreads]) pool.free(object);
        next[i] = allocate(pool, 200);
      });
    }
    for (std::thread& thread : threads) thread.join();
    objects = std::move(next);
    std::set<void*> all;
    for (const std::vector<void*>& some : objects) all.insert(some.begin(), some.end());
    ASSERT_EQ(all.size(), kThreads * 200);
  }
}

}  // namespace
}  // namespace epore::internal
