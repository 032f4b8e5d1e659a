#include "runtime/internal/timer_slot.h"

#include <algorithm>
#include <cstddef>
#include <random>
#include <set>
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

std::vector<TimerNode*> listed(const TimerSlot& slot) {
  std::vector<TimerNode*> nodes;
  slot.list(nodes);
  return nodes;
}

TEST(TimerSlotTest, ListsTheLastThatWasAddedFirst) {
  constexpr std::size_t kNodes = 100;  // more than a piece holds
  TimerSlot::Pool pool;
  TimerSlot slot;
  EXPECT_TRUE(slot.empty());
  std::vector<TestNode> nodes(kNodes);
  std::vector<TimerNode*> expected;
  for (TestNode& node : nodes) {
    slot.add(node, pool);
    expected.insert(expected.begin(), &node);
  }
  EXPECT_FALSE(slot.empty());
  EXPECT_EQ(listed(slot), expected);
  std::vector<TimerNode*> taken;
  slot.take(taken, pool);
  EXPECT_EQ(taken, expected);
  EXPECT_TRUE(slot.empty());
  EXPECT_TRUE(listed(slot).empty());
  slot.add(nodes[7], pool);
  EXPECT_EQ(listed(slot), (std::vector<TimerNode*>{&nodes[7]}));
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
    if (step % 16 != 0) continue;
    for (std::size_t i = 0; i < 2; ++i) {
      std::vector<TimerNode*> nodes_now = listed(slots[i]);
      std::sort(nodes_now.begin(), nodes_now.end());
      ASSERT_EQ(nodes_now, std::vector<TimerNode*>(expected[i].begin(), expected[i].end()));
      ASSERT_EQ(slots[i].empty(), expected[i].empty());
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
