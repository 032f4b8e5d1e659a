#include "runtime/internal/timer_slot.h"

#include <algorithm>
#include <cstddef>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/internal/runnable.h"
#include "tests/support/heap.h"

namespace epore::internal {
namespace {

class TestNode final : public TimerNode {
 public:
  Ref<Runnable> expired() override { return {}; }
};

std::vector<TimerNode*> take(TimerSlot& slot, TimerSlot::Pool& pool) {
  std::vector<TimerNode*> nodes;
  slot.take(pool, [&](TimerNode& node) { nodes.push_back(&node); });
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
    slot.add(node, pool);
    expected.push_back(&node);
  }
  EXPECT_FALSE(slot.empty());
  EXPECT_EQ(take(slot, pool), expected);
  EXPECT_TRUE(slot.empty());
  EXPECT_TRUE(take(slot, pool).empty());
  slot.add(nodes[7], pool);
  EXPECT_EQ(take(slot, pool), (std::vector<TimerNode*>{&nodes[7]}));
}

TEST(TimerSlotTest, WhatIsTakenMayBeAddedToOtherSlots) {
  constexpr std::size_t kNodes = 100;
  TimerSlot::Pool pool;
  TimerSlot slot;
  std::vector<TestNode> nodes(kNodes);
  std::vector<TimerNode*> expected;
  for (TestNode& node : nodes) {
    slot.add(node, pool);
    expected.push_back(&node);
  }
  TimerSlot opened = std::move(slot);
  EXPECT_TRUE(slot.empty());
  opened.take(pool, [&](TimerNode& node) { slot.add(node, pool); });
  EXPECT_TRUE(opened.empty());
  EXPECT_EQ(take(slot, pool), expected);
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
      slots[added_to].add(node, pool);
      expected[added_to].insert(&node);
    }
    if (step % 64 != 0) continue;
    for (std::size_t i = 0; i < 2; ++i) {
      ASSERT_EQ(slots[i].empty(), expected[i].empty());
      std::vector<TimerNode*> all = take(slots[i], pool);
      for (TimerNode* one : all) slots[i].add(*one, pool);
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
  for (TestNode& node : nodes) one.add(node, pool);
  for (TestNode& node : nodes) one.remove(node, pool);
  const ScopedHeapCount heap;
  for (TestNode& node : nodes) other.add(node, pool);
  EXPECT_EQ(heap.so_far().allocations, 0u);
}

}  // namespace
}  // namespace epore::internal
