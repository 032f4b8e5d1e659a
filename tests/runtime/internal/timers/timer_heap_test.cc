#include "epore/runtime/internal/timers/timer_heap.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/runtime/internal/timers/test_node.h"
#include "tests/support/heap.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kTick = std::int64_t{1} << 20;
constexpr std::int64_t kYear = std::int64_t{365} * 24 * 3600 * 1'000'000'000;

// A heap that has room for all.
class RoomyHeap : public TimerHeap {
 public:
  RoomyHeap() { reserve(4096); }

  std::vector<TimerNode*> pop_all(std::int64_t now) {
    std::vector<TimerNode*> due;
    while (TimerNode* const node = pop(now, TestNode::kOut)) due.push_back(node);
    return due;
  }
};

TEST(TimerHeapTest, AnEmptyHeapHasNoDeadline) {
  RoomyHeap heap;
  EXPECT_EQ(heap.earliest(), kNever);
  EXPECT_EQ(heap.size(), 0u);
  EXPECT_TRUE(heap.pop_all(kNever - 1).empty());
}

TEST(TimerHeapTest, ATimerIsDueAtItsNanosecondAndNotBefore) {
  RoomyHeap heap;
  TestNode node;
  const std::int64_t deadline = 3 * kTick + 17;
  heap.set(node, deadline);
  EXPECT_EQ(heap.earliest(), deadline);
  EXPECT_TRUE(heap.pop_all(deadline - 1).empty());
  EXPECT_EQ(heap.earliest(), deadline);
  EXPECT_EQ(heap.pop_all(deadline), (std::vector<TimerNode*>{&node}));
  EXPECT_EQ(heap.size(), 0u);
}

TEST(TimerHeapTest, ThePastIsDueAtOnceEarliestFirst) {
  RoomyHeap heap;
  TestNode nodes[4];
  const std::int64_t deadlines[] = {999 * kTick, -5, 1000 * kTick, 0};
  for (int i = 0; i < 4; ++i) heap.set(nodes[i], deadlines[i]);
  EXPECT_EQ(heap.earliest(), -5);
  EXPECT_EQ(heap.pop_all(1000 * kTick),
            (std::vector<TimerNode*>{&nodes[1], &nodes[3], &nodes[0], &nodes[2]}));
}

TEST(TimerHeapTest, AHundredYearsAreOneStep) {
  RoomyHeap heap;
  TestNode soon;
  TestNode late;
  heap.set(soon, kTick + 1);
  heap.set(late, 100 * kYear);
  EXPECT_EQ(heap.pop_all(100 * kYear - 1), (std::vector<TimerNode*>{&soon}));
  EXPECT_EQ(heap.earliest(), 100 * kYear);
  EXPECT_EQ(heap.pop_all(100 * kYear), (std::vector<TimerNode*>{&late}));
}

TEST(TimerHeapTest, AClockThatStandsStillOrStepsBackDoesNoHarm) {
  RoomyHeap heap;
  TestNode node;
  heap.set(node, 1001 * kTick);
  EXPECT_TRUE(heap.pop_all(1000 * kTick).empty());
  EXPECT_TRUE(heap.pop_all(10).empty());
  EXPECT_EQ(heap.pop_all(1001 * kTick), (std::vector<TimerNode*>{&node}));
}

TEST(TimerHeapTest, OfEqualDeadlinesTheOneThatWasInsertedFirstComesFirst) {
  constexpr std::size_t kNodes = 500;
  RoomyHeap heap;
  std::vector<TestNode> nodes(kNodes);
  std::vector<TestNode> others(kNodes);
  std::vector<TimerNode*> expected;
  for (std::size_t i = 0; i < kNodes; ++i) {
    heap.set(others[i], static_cast<std::int64_t>(i % 7));
    heap.set(nodes[i], 3);
    if (i % 7 == 3) expected.push_back(&others[i]);
    expected.push_back(&nodes[i]);
  }
  for (std::size_t i = 0; i < kNodes; ++i) {
    if (i % 7 != 3) heap.remove(others[i], TestNode::kOut);
  }
  EXPECT_EQ(heap.pop_all(3), expected);
}

TEST(TimerHeapTest, WhatIsReservedIsNotAllocatedLater) {
  TimerHeap heap;
  heap.reserve(100);
  std::vector<TestNode> nodes(100);
  if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has malloc()";
  const ScopedHeapCount count;
  for (TestNode& node : nodes) heap.set(node, 5);
  while (heap.pop(5, TestNode::kOut) != nullptr) {
  }
  EXPECT_EQ(count.so_far().allocations, 0u);
}

TEST(TimerHeapTest, ManyThatAreDueTogetherComeEarliestFirst) {
  constexpr std::size_t kNodes = 2000;
  constexpr std::int64_t kNow = 5000 * kTick;
  std::mt19937_64 random(1);
  for (const std::int64_t range :
       {std::int64_t{3}, std::int64_t{2000}, (std::int64_t{1} << 22), 4990 * kTick}) {
    for (const std::int64_t from : {std::int64_t{-1000}, std::int64_t{0}, kNow - range}) {
      RoomyHeap heap;
      std::vector<TestNode> nodes(kNodes);
      std::vector<std::int64_t> deadlines = {from + range, from};  // the ends are there
      while (deadlines.size() < kNodes) {
        deadlines.push_back(
            from + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(range + 1)));
      }
      std::map<TimerNode*, std::int64_t> deadline_of;
      for (std::size_t i = 0; i < kNodes; ++i) {
        heap.set(nodes[i], deadlines[i]);
        deadline_of[&nodes[i]] = deadlines[i];
      }
      std::vector<std::int64_t> came;
      for (TimerNode* node : heap.pop_all(kNow)) came.push_back(deadline_of[node]);
      std::sort(deadlines.begin(), deadlines.end());
      EXPECT_EQ(came, deadlines) << range << " from " << from;
    }
  }
}

// The heap against the simplest thing that is right.
class Comparison {
 public:
  explicit Comparison(std::uint64_t seed) : random_(seed), now_(start()) {
    for (std::uint64_t i = 0; i < kNodes; ++i) nodes_.push_back(std::make_unique<TestNode>());
    places_.resize(kNodes, by_deadline_.end());
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      switch (pick(6)) {
        case 0:
        case 1:
          insert(pick(kNodes), deadline());
          break;
        case 3:
        case 4:
          move(pick(kNodes), deadline());
          break;
        case 2:
          remove(pick(kNodes));
          break;
        default:
          advance_by(jump());
      }
      check();
    }
    advance_by(kNever - 2 - now_);
    check();
  }

 private:
  static constexpr std::uint64_t kNodes = 64;
  using ByDeadline = std::multimap<std::int64_t, std::uint64_t>;

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  std::int64_t start() {
    const std::int64_t starts[] = {
        0, 1, kTick - 1, 12345 * kTick + 678, 30 * kYear, (std::int64_t{1} << 62) - kTick};
    return starts[pick(6)];
  }

  // Now, in the past, at and around powers of two, and at the end of time.
  std::int64_t deadline() {
    const int level = static_cast<int>(pick(8));
    const std::int64_t width = std::int64_t{1} << std::min(20 + 6 * level, 62);
    const std::int64_t boundary =
        now_ / width > kNever / width - 1 ? kNever - 1 : (now_ / width + 1) * width;
    const std::int64_t nudges[] = {0, 1, -1, kTick, -kTick, kTick - 1, 1 - kTick};
    const std::int64_t nudge = nudges[pick(7)];
    switch (pick(6)) {
      case 0:
        return clamped(now_, nudge);
      case 1:
        return clamped(now_, -static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(width))));
      case 2:
        return clamped(boundary, nudge);
      case 3:
        return clamped(saturating_add(now_, width), nudge);
      case 4:
        return clamped(saturating_add(now_, static_cast<std::int64_t>(
                                                pick(static_cast<std::uint64_t>(width)))),
                       0);
      default:
        return pick(2) == 0 ? kNever - 1 : clamped(kNever - 1, -std::abs(nudge));
    }
  }
  static std::int64_t clamped(std::int64_t base, std::int64_t nudge) {
    if (nudge > 0 && base > kNever - 1 - nudge) return kNever - 1;
    return base + nudge;
  }

  std::int64_t jump() {
    switch (pick(8)) {
      case 0:
        return 0;
      case 1:
        return 1;
      case 2:
        return kTick;
      case 3:  // exactly to the next deadline, or just before it
        if (by_deadline_.empty() || by_deadline_.begin()->first <= now_) return 0;
        return by_deadline_.begin()->first - now_ - static_cast<std::int64_t>(pick(2));
      case 4:
        return static_cast<std::int64_t>(pick(100 * kYear));
      default: {
        const std::int64_t width = std::int64_t{1} << (20 + 6 * pick(6));
        return width - (now_ & (width - 1)) - static_cast<std::int64_t>(pick(2));  // a boundary
      }
    }
  }

  void insert(std::uint64_t node, std::int64_t deadline) {
    remove(node);
    heap_.set(*nodes_[node], deadline);
    places_[node] = by_deadline_.emplace(deadline, node);
  }

  void move(std::uint64_t node, std::int64_t deadline) {
    heap_.set(*nodes_[node], deadline);
    if (places_[node] != by_deadline_.end()) by_deadline_.erase(places_[node]);
    places_[node] = by_deadline_.emplace(deadline, node);
  }

  void remove(std::uint64_t node) {
    if (places_[node] == by_deadline_.end()) return;
    heap_.remove(*nodes_[node], TestNode::kOut);
    by_deadline_.erase(places_[node]);
    places_[node] = by_deadline_.end();
  }

  void advance_by(std::int64_t step) {
    if (step > kNever - 2 - now_) step = kNever - 2 - now_;
    now_ += step;
    std::vector<std::int64_t> deadlines;
    for (TimerNode* node : heap_.pop_all(now_)) {
      const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                      [&](const auto& one) { return one.get() == node; });
      const auto index = static_cast<std::size_t>(found - nodes_.begin());
      ASSERT_NE(places_[index], by_deadline_.end()) << "it was not in, or came twice";
      deadlines.push_back(places_[index]->first);
      EXPECT_LE(deadlines.back(), now_) << "early";
      by_deadline_.erase(places_[index]);
      places_[index] = by_deadline_.end();
    }
    EXPECT_TRUE(std::is_sorted(deadlines.begin(), deadlines.end()));
  }

  void check() {
    const std::int64_t earliest = by_deadline_.empty() ? kNever : by_deadline_.begin()->first;
    EXPECT_EQ(heap_.size(), by_deadline_.size());
    // Not every time, as it puts what was put off where it belongs.
    if (pick(3) == 0) {
      EXPECT_EQ(heap_.earliest(), earliest) << "at " << now_;
    }
  }

  std::mt19937_64 random_;
  std::int64_t now_;
  RoomyHeap heap_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
  ByDeadline by_deadline_;
  std::vector<ByDeadline::iterator> places_;
};

TEST(TimerHeapTest, F24ItIsTheSameAsASortedMap) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Comparison(seed).run(400);
    if (HasFailure()) return;
  }
}

TEST(TimerHeapTest, SaturatingAddStopsAtTheEndOfTime) {
  EXPECT_EQ(saturating_add(1, 2), 3);
  EXPECT_EQ(saturating_add(1, kNever - 1), kNever);
  EXPECT_EQ(saturating_add(1, kNever), kNever);
  EXPECT_EQ(saturating_add(kNever, kNever), kNever);
  EXPECT_EQ(saturating_add(5, -5), 0);
}

}  // namespace
}  // namespace epore::internal
