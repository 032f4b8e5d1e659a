#include "epore/runtime/internal/base/frame_cache.h"

#include <algorithm>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <latch>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include "epore/poll/kernel/sanitizers.h"
#include "gtest/gtest.h"
#include "tests/support/heap.h"
#include "tests/support/scarce_memory.h"

namespace epore::internal {
namespace {

constexpr std::size_t kLine = FrameCache::kCacheLine;
constexpr std::size_t kSizes[] = {1, 64, 65, 200, 500, 1000, 1016, 1024, 1280, 3000, 4096};

std::vector<void*> allocate(std::size_t count, std::size_t size = kLine) {
  std::vector<void*> blocks;
  for (std::size_t i = 0; i < count; ++i) {
    blocks.push_back(FrameCache::allocate(size));
    std::memset(blocks.back(), static_cast<int>(i), size);
  }
  return blocks;
}

void free(const std::vector<void*>& blocks, std::size_t size = kLine) {
  for (void* const block : blocks) FrameCache::free(block, size);
}

// As many as half a depot has room for, but no more than `most`.
std::size_t few(std::size_t most, std::size_t size) {
  return std::min<std::size_t>(most, 128 * 1024 / (size + kLine));
}

TEST(FrameCacheTest, BlocksThatLiveAtTheSameTimeDiffer) {
  for (const std::size_t size : kSizes) {
    for (const std::size_t count : {1u, 3u, 4u, 63u, 64u, 65u, 1000u, 64u, 3u}) {
      const std::vector<void*> blocks = allocate(count, size);
      EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), count);
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(static_cast<unsigned char*>(blocks[i])[0], i % 256);
        EXPECT_EQ(static_cast<unsigned char*>(blocks[i])[size - 1], i % 256);
      }
      free(blocks, size);
    }
  }
}

TEST(FrameCacheTest, EachSizeIsAligned) {
  for (int round = 0; round < 2; ++round) {
    for (std::size_t size = 0; size < 4300; ++size) {
      const std::vector<void*> blocks = allocate(3, size);
      for (void* const block : blocks) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % kLine, 0u) << size;
      }
      free(blocks, size);
    }
  }
}

TEST(FrameCacheTest, SizesOfOneClassShareTheirBlocks) {
  if (kHasAddressSanitizer) GTEST_SKIP() << "there is no cache";
  void* const block = FrameCache::allocate(1025);
  FrameCache::free(block, 1025);
  void* const again = FrameCache::allocate(1280);
  EXPECT_EQ(again, block);
  FrameCache::free(again, 1280);
}

TEST(FrameCacheTest, WhatIsLargerComesFromTheHeap) {
  for (const std::size_t size : {4097u, 5000u, 1'000'000u}) free(allocate(3, size), size);
}

// A block that a function of the C++ runtime frees when the thread has given up its magazines.
struct FreedLate {
  ~FreedLate() {
    FrameCache::free(block, size);
    free(allocate(2, size), size);
  }
  std::size_t size = 0;
  void* block = nullptr;
};
thread_local FreedLate freed_late;

void end_late(std::size_t size) {
  std::thread([size] {
    freed_late.size = size;  // made before the magazines, so destroyed after them
    freed_late.block = FrameCache::allocate(size);
    free(allocate(100, size), size);
  }).join();
}

TEST(FrameCacheTest, DestructorsOfAThreadMayAllocateAndFree) {
  for (const std::size_t size : kSizes) end_late(size);
}

TEST(FrameCacheTest, ThreadsPassBlocksAround) {
  constexpr int kThreads = 4;
  std::barrier ready(kThreads);
  std::vector<std::vector<void*>> passed(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (const std::size_t size : kSizes) {
        passed[static_cast<std::size_t>(t)] = allocate(500, size);
        ready.arrive_and_wait();
        free(passed[static_cast<std::size_t>((t + 1) % kThreads)], size);
        for (std::size_t i = 0; i < 100; ++i) free(allocate(i, size), size);
        ready.arrive_and_wait();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// The cache still has blocks from before, so the first allocations may succeed.
TEST(FrameCacheTest, AllocateThrowsWithoutMemory) {
  for (const std::size_t size : {64u, 1024u, 4096u, 10'000u}) {
    std::vector<void*> blocks;
    blocks.reserve(100'000);
    ScarceMemory::fail(1);
    EXPECT_THROW(while (blocks.size() < 100'000) blocks.push_back(FrameCache::allocate(size)),
                 std::bad_alloc);
    EXPECT_TRUE(ScarceMemory::stop());
    blocks.push_back(FrameCache::allocate(size));
    free(blocks, size);
  }
}

TEST(FrameCacheTest, TryAllocateIsNullWithoutMemory) {
  for (const std::size_t size : {64u, 1024u, 4096u, 10'000u}) {
    std::vector<void*> blocks;
    blocks.reserve(100'000);
    ScarceMemory::fail(1);
    while (blocks.size() < 100'000) {
      void* const block = FrameCache::try_allocate(size);
      if (block == nullptr) break;
      blocks.push_back(block);
    }
    EXPECT_TRUE(ScarceMemory::stop());
    EXPECT_LT(blocks.size(), 100'000u);
    blocks.push_back(FrameCache::try_allocate(size));
    EXPECT_NE(blocks.back(), nullptr);
    free(blocks, size);
  }
}

class FrameCacheHeapTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has malloc()";
  }
};

// Each round has a class that no other test here has, so free() needs memory for magazines.
TEST_F(FrameCacheHeapTest, FreeNeedsNoMemory) {
  for (int k = 1; k <= 4; ++k) {
    const std::size_t size = 512 + 64 * static_cast<std::size_t>(k);
    const ScopedHeapCount heap;
    {
      const std::vector<void*> blocks = allocate(200, size);
      ScarceMemory::fail(k);
      free(blocks, size);
      EXPECT_TRUE(ScarceMemory::stop()) << k;
      free(allocate(200, size), size);
    }
    EXPECT_LT(heap.so_far().bytes, 400'000);
  }
}

TEST_F(FrameCacheHeapTest, OneThreadAllocatesOnlyOnce) {
  for (const std::size_t size : kSizes) {
    std::vector<void*> blocks(few(100, size));
    free(allocate(blocks.size(), size), size);
    const ScopedHeapCount heap;
    for (int round = 0; round < 100; ++round) {
      for (void*& block : blocks) block = FrameCache::allocate(size);
      free(blocks, size);
    }
    EXPECT_EQ(heap.so_far().allocations, 0u) << size;
  }
}

// Blocks travel back from the thread that frees to the one that allocates.
TEST_F(FrameCacheHeapTest, AConsumerFeedsItsProducer) {
  for (const std::size_t size : kSizes) {
    std::vector<void*> blocks(few(1000, size));
    std::barrier turn(2);
    std::uint64_t allocations = 0;
    constexpr int kWarm = 10;
    std::thread consumer([&] {
      for (int round = 0; round < 2 * kWarm; ++round) {
        turn.arrive_and_wait();
        free(blocks, size);
        turn.arrive_and_wait();
      }
    });
    {
      const ScopedHeapCount heap;
      for (int round = 0; round < 2 * kWarm; ++round) {
        if (round == kWarm) allocations = heap.so_far().allocations;
        for (void*& block : blocks) block = FrameCache::allocate(size);
        turn.arrive_and_wait();
        turn.arrive_and_wait();
      }
      EXPECT_EQ(heap.so_far().allocations, allocations) << size;
    }
    consumer.join();
  }
}

TEST_F(FrameCacheHeapTest, AThreadThatFreesFeedsOneThatAllocates) {
  constexpr std::size_t kBatch = 1000;
  std::vector<void*> blocks(kBatch);
  const auto round = [&] {
    for (void*& block : blocks) block = FrameCache::allocate(kLine);
    std::thread([&] { free(blocks); }).join();
  };
  for (int i = 0; i < 5; ++i) round();
  const ScopedHeapCount heap;
  constexpr int kRounds = 50;
  for (int i = 0; i < kRounds; ++i) round();
  // A thread costs some allocations itself, but no thousand.
  EXPECT_LT(heap.so_far().allocations, kRounds * kBatch / 20);
}

TEST_F(FrameCacheHeapTest, WhatIsKeptIsBounded) {
  for (const std::size_t size : kSizes) {
    const std::size_t count = std::min<std::size_t>(100'000, 10'000'000 / size);
    std::vector<void*> blocks;
    blocks.reserve(count);
    const ScopedHeapCount heap;
    for (std::size_t i = 0; i < count; ++i) blocks.push_back(FrameCache::allocate(size));
    free(blocks, size);
    EXPECT_LT(heap.so_far().bytes, 1'000'000) << size;
  }
}

// Each alone would cost a line more from malloc(), for its alignment.
TEST_F(FrameCacheHeapTest, BlocksOfWaitingFramesComeSixteenAtATime) {
  constexpr std::size_t kCount = 4000;
  constexpr std::size_t kSize = 376;  // a class that no other test here has
  const ScopedHeapCount heap;
  const std::vector<void*> blocks = allocate(kCount, kSize);
  EXPECT_LT(heap.so_far().allocations, kCount / 12);
  EXPECT_LT(heap.so_far().bytes, static_cast<std::int64_t>(kCount * (kSize + 24)));
  free(blocks, kSize);
}

// Every second block stays, and then nothing of the slabs may be lost or come twice.
TEST(FrameCacheTest, BlocksComeBackInAnySequence) {
  constexpr std::size_t kSize = 440;  // as above
  std::vector<void*> blocks = allocate(2000, kSize);
  for (int round = 0; round < 3; ++round) {
    std::vector<void*> stay;
    std::vector<void*> go;
    for (std::size_t i = 0; i < blocks.size(); ++i) (i % 2 == 0 ? stay : go).push_back(blocks[i]);
    free(go, kSize);
    const std::vector<void*> more = allocate(go.size(), kSize);
    stay.insert(stay.end(), more.begin(), more.end());
    blocks = std::move(stay);
    EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), 2000u);
  }
  free(blocks, kSize);
}

TEST_F(FrameCacheHeapTest, AThreadThatEndsLeavesItsBlocksToOthers) {
  const auto use = [] {
    for (const std::size_t size : {64u, 1024u, 4096u}) free(allocate(30, size), size);
  };
  for (int i = 0; i < 200; ++i) std::thread(use).join();
  const ScopedHeapCount heap;
  for (int i = 0; i < 2000; ++i) std::thread(use).join();
  EXPECT_LT(heap.so_far().bytes, 100'000);
}

TEST_F(FrameCacheHeapTest, AThreadThatHasLeftItsBlocksKeepsNone) {
  for (int i = 0; i < 50; ++i) end_late(300);
  const ScopedHeapCount heap;
  for (int i = 0; i < 1000; ++i) end_late(300);
  EXPECT_LT(heap.so_far().bytes, 100'000);
}

// A thread that ends may leave blocks to a depot that has no room for the magazine they are taken
// for.
TEST_F(FrameCacheHeapTest, TheMemoryOfMagazinesIsNotLost) {
  constexpr std::size_t kThreads = 3;
  constexpr std::size_t kEach = 3000;
  const auto round = [] {
    std::latch freed(kThreads);
    std::latch end(1);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, blocks = allocate(kEach)] {
        free(blocks);
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

}  // namespace
}  // namespace epore::internal
