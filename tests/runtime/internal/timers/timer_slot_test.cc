#include "epore/runtime/internal/timers/timer_slot.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/runtime/internal/timers/test_node.h"
#include "tests/support/heap.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kDeadline = 5;
constexpr std::int16_t kIndex = 7;

std::vector<TimerNode*> take(TimerSlot& slot, TimerSlot::Pool& pool) {
  std::vector<TimerNode*> nodes;
  slot.take(pool, [&](const TimerCell& cell) {
    nodes.push_back(cell.node);
    return false;
  });
  return nodes;
}

TEST(TimerSlotTest, TheyAreTakenInTheOrderInWhichTheyWereAdded) {
  constexpr std::size_t kNodes = 100;  // more than a piece holds
  TimerSlot::Pool pool;
  TimerSlot slot;
  EXPECT_TRUE(slot.empty());
  std::vector<TestNode> nodes(kNodes);
  std::vector<TimerNode*> expected;
  for (TestNode& node : nodes) {
    slot.add(node, kDeadline, kIndex, pool);
    expected.push_back(&node);
  }
  EXPECT_FALSE(slot.empty());
  EXPECT_EQ(take(slot, pool), expected);
  EXPECT_TRUE(slot.empty());
  EXPECT_TRUE(take(slot, pool).empty());
  slot.add(nodes[7], kDeadline, kIndex, pool);
  EXPECT_EQ(take(slot, pool), (std::vector<TimerNode*>{&nodes[7]}));
}

TEST(TimerSlotTest, WhatIsTakenMayBeAddedToOtherSlots) {
  constexpr std::size_t kNodes = 100;
  TimerSlot::Pool pool;
  TimerSlot slot;
  std::vector<TestNode> nodes(kNodes);
  std::vector<TimerNode*> expected;
  for (TestNode& node : nodes) {
    slot.add(node, kDeadline, kIndex, pool);
    expected.push_back(&node);
  }
  TimerSlot opened = std::move(slot);
  EXPECT_TRUE(slot.empty());
  opened.take(pool, [&](const TimerCell& cell) {
    slot.add(*cell.node, cell.deadline, kIndex + 1, pool);
    return false;
  });
  EXPECT_TRUE(opened.empty());
  EXPECT_EQ(TimerSlot::slot_of(nodes[0]), kIndex + 1);
  EXPECT_EQ(take(slot, pool), expected);
}

TEST(TimerSlotTest, EachKnowsItsDeadlineAndItsSlotAlsoWhenOthersAreRemoved) {
  constexpr std::size_t kNodes = 100;
  TimerSlot::Pool pool;
  TimerSlot slots[2];
  std::vector<TestNode> nodes(kNodes);
  for (std::size_t i = 0; i < kNodes; ++i) {
    slots[i % 2].add(nodes[i], static_cast<std::int64_t>(i), static_cast<std::int16_t>(i % 2),
                     pool);
  }
  for (std::size_t i = 0; i < kNodes; i += 5) slots[i % 2].remove(nodes[i], pool);
  for (std::size_t i = 0; i < kNodes; ++i) {
    if (i % 5 != 0) {
      EXPECT_EQ(TimerSlot::slot_of(nodes[i]), static_cast<std::int16_t>(i % 2));
    }
  }
  std::size_t count = 0;
  for (TimerSlot& slot : slots) {
    slot.take(pool, [&](const TimerCell& cell) {
      EXPECT_EQ(cell.node, &nodes[static_cast<std::size_t>(cell.deadline)]);
      ++count;
      return false;
    });
  }
  EXPECT_EQ(count, kNodes - kNodes / 5);
}

// What is due stays where it is until it is popped, whatever is armed meanwhile.
TEST(TimerSlotTest, TheCellsOfWhatStaysAreKeptUntilTheEnd) {
  constexpr std::size_t kNodes = 100;
  TimerSlot::Pool pool;
  TimerSlot slot;
  std::vector<TestNode> nodes(kNodes);
  for (TestNode& node : nodes) slot.add(node, kDeadline, kIndex, pool);
  slot.take(pool, [&](const TimerCell& cell) { return cell.node == &nodes[40]; });
  EXPECT_EQ(TimerSlot::slot_of(nodes[40]), TimerSlot::kTaken);
  TimerSlot other;
  std::vector<TestNode> others(kNodes);
  for (TestNode& node : others) other.add(node, kDeadline, kIndex, pool);
  EXPECT_EQ(TimerSlot::slot_of(nodes[40]), TimerSlot::kTaken);
  EXPECT_FALSE(slot.empty());
  slot.clear(pool);
  EXPECT_TRUE(slot.empty());
}

TEST(TimerSlotTest, WhatIsClearedIsUsedAgain) {
  if (!Heap::is_counted()) GTEST_SKIP() << "nobody counts allocations here";
  TimerSlot::Pool pool;
  std::vector<TestNode> nodes(100);
  const auto use = [&] {
    TimerSlot slot;
    for (TestNode& node : nodes) slot.add(node, kDeadline, kIndex, pool);
    slot.take(pool, [](const TimerCell&) { return true; });
    slot.clear(pool);
  };
  use();
  const ScopedHeapCount heap;
  for (int round = 0; round < 100; ++round) use();
  EXPECT_EQ(heap.so_far().allocations, 0u);
}

TEST(TimerSlotTest, AnyCanBeRemovedAtAnyTime) {
  std::mt19937 random(1);
  TimerSlot::Pool pool;
  TimerSlot slots[2];
  std::vector<TestNode> nodes(200);
  std::set<TimerNode*> expected[2];
  for (int step = 0; step < 50'000; ++step) {
    TestNode& node = nodes[random() % nodes.size()];
    const std::size_t which = expected[1].contains(&node) ? 1 : 0;
    if (expected[which].erase(&node) != 0) {
      slots[which].remove(node, pool);
    } else {
      const std::size_t added_to = random() % 2;
      slots[added_to].add(node, kDeadline, kIndex, pool);
      expected[added_to].insert(&node);
    }
    if (step % 64 != 0) continue;
    for (std::size_t i = 0; i < 2; ++i) {
      ASSERT_EQ(slots[i].empty(), expected[i].empty());
      std::vector<TimerNode*> all = take(slots[i], pool);
      for (TimerNode* one : all) slots[i].add(*one, kDeadline, kIndex, pool);
      std::sort(all.begin(), all.end());
      ASSERT_EQ(all, std::vector<TimerNode*>(expected[i].begin(), expected[i].end()));
    }
  }
}

TEST(TimerSlotTest, WhatWasThereBeforeNeedsNoMemory) {
  if (!Heap::is_counted()) GTEST_SKIP() << "nobody counts allocations here";
  constexpr std::size_t kNodes = 1000;
  TimerSlot::Pool pool;
  TimerSlot one, other;
  std::vector<TestNode> nodes(kNodes);
  for (TestNode& node : nodes) one.add(node, kDeadline, kIndex, pool);
  for (TestNode& node : nodes) one.remove(node, pool);
  const ScopedHeapCount heap;
  for (TestNode& node : nodes) other.add(node, kDeadline, kIndex, pool);
  EXPECT_EQ(heap.so_far().allocations, 0u);
}

}  // namespace
}  // namespace epore::internal
