#include "epore/runtime/internal/base/node_cache.h"

#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <latch>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/heap.h"

namespace epore::internal {
namespace {

constexpr std::size_t kSize = NodeCache::kNodeSize;

std::vector<void*> allocate(std::size_t count) {
  std::vector<void*> nodes;
  for (std::size_t i = 0; i < count; ++i) {
    nodes.push_back(NodeCache::allocate(kSize));
    std::memset(nodes.back(), static_cast<int>(i), kSize);
  }
  return nodes;
}

void free(const std::vector<void*>& nodes) {
  for (void* const node : nodes) NodeCache::free(node, kSize);
}

TEST(NodeCacheTest, NodesThatLiveAtTheSameTimeDiffer) {
  for (const std::size_t count : {1u, 63u, 64u, 65u, 1000u, 64u, 3u}) {
    const std::vector<void*> nodes = allocate(count);
    EXPECT_EQ(std::set<void*>(nodes.begin(), nodes.end()).size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(static_cast<unsigned char*>(nodes[i])[kSize - 1], i % 256);
    }
    free(nodes);
  }
}

TEST(NodeCacheTest, WhatIsLargerComesFromTheHeap) {
  void* const large = NodeCache::allocate(10 * kSize);
  std::memset(large, 1, 10 * kSize);
  NodeCache::free(large, 10 * kSize);
}

class NodeCacheHeapTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has malloc()";
  }
};

TEST_F(NodeCacheHeapTest, OneThreadAllocatesOnlyOnce) {
  free(allocate(100));
  const ScopedHeapCount heap;
  std::vector<void*> nodes(100);
  const std::uint64_t before = heap.so_far().allocations;
  for (int round = 0; round < 100; ++round) {
    for (void*& node : nodes) node = NodeCache::allocate(kSize);
    free(nodes);
  }
  EXPECT_EQ(heap.so_far().allocations, before);
}

// Nodes travel back from the thread that frees to the one that allocates.
TEST_F(NodeCacheHeapTest, AThreadThatFreesFeedsOneThatAllocates) {
  constexpr std::size_t kBatch = 1000;
  std::vector<void*> nodes(kBatch);
  const auto round = [&] {
    for (void*& node : nodes) node = NodeCache::allocate(kSize);
    std::thread([&] { free(nodes); }).join();
  };
  for (int i = 0; i < 5; ++i) round();
  const ScopedHeapCount heap;
  constexpr int kRounds = 50;
  for (int i = 0; i < kRounds; ++i) round();
  // A thread costs some allocations itself, but no thousand.
  EXPECT_LT(heap.so_far().allocations, kRounds * kBatch / 20);
}

TEST_F(NodeCacheHeapTest, WhatIsKeptIsBounded) {
  std::vector<void*> nodes;
  nodes.reserve(100'000);
  const ScopedHeapCount heap;
  for (int i = 0; i < 100'000; ++i) nodes.push_back(NodeCache::allocate(kSize));
  free(nodes);
  EXPECT_LT(heap.so_far().bytes, 1'000'000);
}

TEST_F(NodeCacheHeapTest, AThreadThatEndsLeavesItsNodesToOthers) {
  const auto few = [] { free(allocate(30)); };
  for (int i = 0; i < 200; ++i) std::thread(few).join();
  const ScopedHeapCount heap;
  for (int i = 0; i < 2000; ++i) std::thread(few).join();
  EXPECT_LT(heap.so_far().bytes, 100'000);
}

// A thread that ends may leave nodes to a depot that has no room for the magazine they are taken
// for.
TEST_F(NodeCacheHeapTest, TheMemoryOfMagazinesIsNotLost) {
  constexpr std::size_t kThreads = 3;
  constexpr std::size_t kEach = 3000;
  const auto round = [] {
    std::latch freed(kThreads);
    std::latch end(1);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, nodes = allocate(kEach)] {
        free(nodes);
        freed.count_down();
        end.wait();
      });
    }
    freed.wait();
    const std::vector<void*> those_of_the_depot = allocate(64 * 64);
    end.count_down();
    for (std::thread& thread : threads) thread.join();
    const std::vector<void*> those_that_were_left = allocate(kThreads * 2 * 64);
    free(those_of_the_depot);
    free(those_that_were_left);
  };
  for (int i = 0; i < 3; ++i) round();
  const ScopedHeapCount heap;
  for (int i = 0; i < 50; ++i) round();
  EXPECT_LT(heap.so_far().bytes, 50 * 500);
}

TEST(NodeCacheTest, ThreadsPassNodesAround) {
  constexpr int kThreads = 4;
  std::barrier ready(kThreads);
  std::vector<std::vector<void*>> passed(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      passed[static_cast<std::size_t>(t)] = allocate(500);
      ready.arrive_and_wait();
      free(passed[static_cast<std::size_t>((t + 1) % kThreads)]);
      for (int i = 0; i < 100; ++i) free(allocate(static_cast<std::size_t>(i)));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace epore::internal
