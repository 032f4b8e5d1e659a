#include "epore/poll/kernel/thread_counters.h"

#include <atomic>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"

namespace epore::internal {
namespace {

TEST(ThreadCountersTest, CountersStartAtZeroAndAreIndependent) {
  ThreadCounters<3> counters;
  counters.add(1);
  counters.add(1, 41);
  EXPECT_EQ(counters.sum(0), 0u);
  EXPECT_EQ(counters.sum(1), 42u);
  EXPECT_EQ(counters.sum(2), 0u);
}

// More at a time than have a shard of their own, so some share one.
constexpr int kThreads = static_cast<int>(kThreadSlots) + 40;

TEST(ThreadCountersTest, NothingIsLostHoweverManyThreadsCount) {
  constexpr int kEach = 500;
  ThreadCounters<2> counters;
  absl::Barrier* const barrier = new absl::Barrier(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      counters.add(0);
      if (barrier->Block()) delete barrier;  // all hold a slot now
      for (int n = 1; n < kEach; ++n) counters.add(0);
      counters.add(1, kEach);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counters.sum(0), static_cast<std::uint64_t>(kThreads) * kEach);
  EXPECT_EQ(counters.sum(1), static_cast<std::uint64_t>(kThreads) * kEach);
}

TEST(ThreadCountersTest, ThreadsThatLiveAtTheSameTimeHaveSlotsOfTheirOwn) {
  absl::Mutex mutex;
  std::vector<std::size_t> slots;
  absl::Barrier* const barrier = new absl::Barrier(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      const std::size_t slot = thread_slot();
      EXPECT_EQ(thread_slot(), slot);
      {
        absl::MutexLock lock(&mutex);
        slots.push_back(slot);
      }
      if (barrier->Block()) delete barrier;
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::size_t> own;
  for (std::size_t slot : slots) {
    ASSERT_LE(slot, kThreadSlots);
    if (slot < kThreadSlots) {
      EXPECT_TRUE(own.insert(slot).second) << slot;
    }
  }
  EXPECT_GE(own.size(), kThreadSlots - 1);  // this test's own thread may have one
}

TEST(ThreadCountersTest, ASlotPassesFromAnEndedThreadToANewOneWithItsCount) {
  ThreadCounters<1> counters;
  for (int i = 0; i < 3 * static_cast<int>(kThreadSlots); ++i) {
    std::thread([&] {
      EXPECT_LT(thread_slot(), kThreadSlots);
      counters.add(0);
    }).join();
  }
  EXPECT_EQ(counters.sum(0), 3 * kThreadSlots);
}

TEST(ThreadCountersTest, AReaderSeesCountsThatOnlyGrow) {
  ThreadCounters<1> counters;
  std::atomic<bool> is_over{false};
  std::thread writer([&] {
    for (int i = 0; i < 20'000; ++i) counters.add(0);
    is_over.store(true);
  });
  std::uint64_t last = 0;
  while (!is_over.load()) {
    const std::uint64_t sum = counters.sum(0);
    EXPECT_GE(sum, last);
    last = sum;
  }
  writer.join();
  EXPECT_EQ(counters.sum(0), 20'000u);
}

}  // namespace
}  // namespace epore::internal
