#include "epore/runtime/internal/base/region.h"

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>

#include "epore/poll/kernel/huge_pages.h"
#include "epore/poll/kernel/sanitizers.h"
#include "gtest/gtest.h"
#include "tests/support/heap.h"

namespace epore::internal {
namespace {

std::uintptr_t address(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory); }

TEST(RegionTest, WhatIsTakenIsAlignedAndNobodyElses) {
  constexpr std::size_t kSizes[] = {1, 80, 512, 24, 4095};
  constexpr std::size_t kAlignments[] = {1, 16, 512, 8, 64};
  Region region;
  std::map<std::uintptr_t, std::size_t> taken;
  for (std::size_t i = 0; i < 5'000; ++i) {
    const std::size_t size = kSizes[i % 5];
    void* const memory = region.take(size, kAlignments[i % 5]);
    std::memset(memory, static_cast<int>(i % 251), size);
    EXPECT_EQ(address(memory) % kAlignments[i % 5], 0u);
    taken[address(memory)] = size;
  }
  ASSERT_EQ(taken.size(), 5'000u);
  std::uintptr_t end = 0;
  for (const auto& [begin, size] : taken) {
    EXPECT_GE(begin, end);
    end = begin + size;
  }
}

TEST(RegionTest, SmallThingsLieNextToEachOther) {
  Region region;
  const std::uintptr_t first = address(region.take(80, 16));
  for (std::uintptr_t i = 1; i < 50; ++i) EXPECT_EQ(address(region.take(80, 16)), first + 80 * i);
}

TEST(RegionTest, BeyondTwoMegabytesItLiesInWholeHugePages) {
  constexpr std::size_t kBefore = kHugePage - 4096;  // 4096, 8192 and so on
  Region region;
  for (std::size_t taken = 0; taken < kBefore; taken += 512) (void)region.take(512, 512);
  for (int page = 0; page < 2; ++page) {
    const std::uintptr_t first = address(region.take(512, 512));
    EXPECT_EQ(first % kHugePage, 0u);
    for (std::size_t at = 512; at < kHugePage; at += 512) {
      ASSERT_EQ(address(region.take(512, 512)), first + at);
    }
  }
}

std::size_t mapped_bytes() {
  std::ifstream statm("/proc/self/statm");  // see proc(5)
  std::size_t pages = 0;
  statm >> pages;
  return pages * static_cast<std::size_t>(::getpagesize());
}

TEST(RegionTest, HugePagesAreMappedAloneAndGivenBack) {
  if (kHasAddressSanitizer) GTEST_SKIP() << "it maps memory too";
  constexpr std::size_t kPages = 64;
  const std::size_t before = mapped_bytes();
  ASSERT_GT(before, 0u);
  {
    Region region;
    for (std::size_t taken = 0; taken < kPages * kHugePage; taken += 512) {
      (void)region.take(512, 512);
    }
    EXPECT_LE(mapped_bytes() - before, (kPages + 8) * kHugePage);
  }
  EXPECT_LE(mapped_bytes(), before + 8 * kHugePage);
}

TEST(RegionTest, ItAtMostDoublesAndGivesAllBack) {
  if (!Heap::is_counted()) GTEST_SKIP() << "nobody counts allocations here";
  const ScopedHeapCount heap;
  {
    Region region;
    EXPECT_EQ(heap.so_far().bytes, 0);
    std::int64_t taken = 0;
    for (int i = 0; i < 20'000; ++i) {
      (void)region.take(80, 16);
      taken += 80;
      ASSERT_LE(heap.so_far().bytes, 2 * taken + 64 * 1024) << i;  // malloc() rounds up
    }
  }
  EXPECT_EQ(heap.so_far().bytes, 0);
}

}  // namespace
}  // namespace epore::internal
