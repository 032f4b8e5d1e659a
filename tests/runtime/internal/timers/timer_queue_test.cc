#include "epore/runtime/internal/timers/timer_queue.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "gtest/gtest.h"
#include "tests/runtime/internal/timers/test_node.h"
#include "tests/support/heap.h"

namespace epore::internal {
namespace {

using State = TimerQueue::State;

// As a leader does. Returns how many there were.
std::size_t expire(TimerQueue& queue, std::int64_t now) {
  std::size_t count = 0;
  for (queue.collect(now); queue.collected() > 0; queue.collect(now)) {
    while (TimerNode* const node = queue.pop()) {
      node->expired();
      ++count;
    }
  }
  return count;
}

TEST(TimerQueueTest, AnArmedNodeExpiresAtItsDeadlineAndIsDueUntilItIsClaimed) {
  TimerQueue queue;
  int expired = 0;
  TestNode node([&] { ++expired; });
  EXPECT_EQ(queue.state(node), State::idle);
  const TimerQueue::Armed armed = queue.arm(node, 1000);
  EXPECT_EQ(armed.before, State::idle);
  EXPECT_TRUE(armed.is_armed);
  EXPECT_EQ(queue.state(node), State::armed);
  EXPECT_EQ(queue.earliest(), 1000);
  EXPECT_EQ(expire(queue, 999), 0u);
  EXPECT_EQ(expire(queue, 1000), 1u);
  EXPECT_EQ(expired, 1);
  EXPECT_EQ(queue.state(node), State::due);
  EXPECT_EQ(queue.earliest(), kNever);
  EXPECT_TRUE(queue.claim(node, 1000).was_due);
  EXPECT_EQ(queue.state(node), State::idle);
  EXPECT_FALSE(queue.claim(node, 1000).was_due);
}

// One contract for everything that changes a deadline.
TEST(TimerQueueTest, F21OnlyWhatMovesTheEarliestDeadlineForwardAsksForAWake) {
  TimerQueue queue;
  TestNode first;
  TestNode second;
  EXPECT_TRUE(queue.arm(first, 1000).is_earliest);    // the first of all
  EXPECT_FALSE(queue.arm(second, 2000).is_earliest);  // a later one
  EXPECT_FALSE(queue.arm(second, 1000).is_earliest);  // as early as the earliest
  EXPECT_TRUE(queue.arm(second, 500).is_earliest);    // shortened to be the earliest
  EXPECT_FALSE(queue.arm(second, 3000).is_earliest);  // put off: the poll thread wakes for nothing
  EXPECT_FALSE(queue.arm(first, 600).is_earliest);    // earlier, but it wakes at 500 anyway
  EXPECT_EQ(expire(queue, 500), 0u);
  EXPECT_EQ(queue.earliest(), 600);  // and knows better then
  EXPECT_EQ(queue.cancel(first), State::armed);
  EXPECT_FALSE(queue.arm(first, 600).is_earliest);  // cancelled and armed again as it was
  EXPECT_EQ(queue.cancel(first), State::armed);
  EXPECT_TRUE(queue.arm(first, 599).is_earliest);  // and earlier than it was
  EXPECT_FALSE(queue.arm(first, kNever).is_earliest);
  EXPECT_EQ(queue.cancel(second), State::armed);
}

TEST(TimerQueueTest, EarliestIsNeverLaterThanTheEarliestDeadline) {
  TimerQueue queue;
  std::vector<std::unique_ptr<TestNode>> nodes;
  for (std::int64_t i = 0; i < 100; ++i) {
    nodes.push_back(std::make_unique<TestNode>());
    (void)queue.arm(*nodes.back(), 1'000'000 * (100 - i));
    EXPECT_EQ(queue.earliest(), 1'000'000 * (100 - i));
  }
  for (std::int64_t i = 99; i >= 0; --i) {
    queue.cancel(*nodes[static_cast<std::size_t>(i)]);
    if (i > 0) {
      EXPECT_LE(queue.earliest(), 1'000'000 * (100 - (i - 1)));
    }
  }
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimerQueueTest, NeverIsJustAsIdle) {
  TimerQueue queue;
  TestNode node;
  EXPECT_TRUE(queue.arm(node, 5).is_armed);
  const TimerQueue::Armed armed = queue.arm(node, kNever);
  EXPECT_EQ(armed.before, State::armed);
  EXPECT_FALSE(armed.is_armed);
  EXPECT_EQ(queue.state(node), State::idle);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimerQueueTest, AClaimOfAPeriodicNodeArmsTheFirstPeriodThatIsNotOver) {
  TimerQueue queue;
  TestNode node;
  EXPECT_TRUE(queue.arm(node, 100, /*interval=*/100).is_armed);
  struct Step {
    std::int64_t claimed_at;
    std::int64_t next;
  };
  for (const Step& step : {Step{100, 200}, Step{250, 300}, Step{1099, 1100}, Step{5000, 5100}}) {
    EXPECT_EQ(expire(queue, step.claimed_at), 1u);
    const TimerQueue::Claimed claimed = queue.claim(node, step.claimed_at);
    EXPECT_TRUE(claimed.was_due);
    EXPECT_TRUE(claimed.is_armed);
    EXPECT_TRUE(claimed.is_earliest);
    EXPECT_EQ(queue.earliest(), step.next);
  }
  EXPECT_EQ(queue.cancel(node), State::armed);
}

TEST(TimerQueueTest, APeriodThatEndsBeyondTheEndOfTimeIsNotArmed) {
  TimerQueue queue;
  TestNode node;
  EXPECT_TRUE(queue.arm(node, kNever - 10, /*interval=*/kNever / 2).is_armed);
  EXPECT_EQ(expire(queue, kNever - 5), 1u);
  const TimerQueue::Claimed claimed = queue.claim(node, kNever - 5);
  EXPECT_TRUE(claimed.was_due);
  EXPECT_FALSE(claimed.is_armed);
}

// A sibling that is due in the same batch.
TEST(TimerQueueTest, F26WhatASiblingOfTheBatchCancelsCannotBeClaimed) {
  TimerQueue queue;
  TestNode second;
  State cancelled = State::idle;
  TestNode first([&] { cancelled = queue.cancel(second); });
  (void)queue.arm(first, 100);
  (void)queue.arm(second, 101);
  EXPECT_EQ(expire(queue, 1000), 2u);
  EXPECT_EQ(cancelled, State::due);  // in time
  EXPECT_FALSE(queue.claim(second, 1000).was_due);
  EXPECT_TRUE(queue.claim(first, 1000).was_due);
  EXPECT_EQ(queue.cancel(first), State::idle);  // too late
}

TEST(TimerQueueTest, WhatASiblingOfTheBatchPutsOffIsArmedAndNotDue) {
  TimerQueue queue;
  TestNode second;
  TestNode first([&] { EXPECT_EQ(queue.arm(second, 5000).before, State::due); });
  (void)queue.arm(first, 100);
  (void)queue.arm(second, 101);
  EXPECT_EQ(expire(queue, 1000), 2u);
  EXPECT_FALSE(queue.claim(second, 1000).was_due);
  EXPECT_EQ(expire(queue, 5000), 1u);
  EXPECT_TRUE(queue.claim(second, 5000).was_due);
}

TEST(TimerQueueTest, OnlyWhatIsDueIsClaimedOnce) {
  TimerQueue queue;
  TestNode node;
  EXPECT_FALSE(queue.claim(node, 99).was_due);  // idle
  (void)queue.arm(node, 100);
  EXPECT_FALSE(queue.claim(node, 99).was_due);  // armed
  EXPECT_EQ(expire(queue, 100), 1u);
  EXPECT_TRUE(queue.claim(node, 100).was_due);
  EXPECT_FALSE(queue.claim(node, 100).was_due);
  EXPECT_EQ(queue.state(node), State::idle);
  // Due, and armed anew.
  (void)queue.arm(node, 200);
  EXPECT_EQ(expire(queue, 200), 1u);
  EXPECT_EQ(queue.arm(node, 300).before, State::due);
  EXPECT_FALSE(queue.claim(node, 100).was_due);
  EXPECT_EQ(queue.cancel(node), State::armed);
}

TEST(TimerQueueTest, TheLeaderClaimsWhatItHasPopped) {
  TimerQueue queue;
  TestNode nodes[5];
  for (std::int64_t i = 0; i < 4; ++i) (void)queue.arm(nodes[i], 100 + i);
  (void)queue.arm(nodes[4], 104, /*interval=*/10);
  queue.collect(104);
  for (TestNode& node : nodes) EXPECT_EQ(queue.state(node), State::due);
  EXPECT_EQ(queue.cancel(nodes[1]), State::due);
  EXPECT_EQ(queue.arm(nodes[2], 500).before, State::due);
  EXPECT_EQ(queue.disable(nodes[3]), State::due);
  EXPECT_EQ(queue.pop(), &nodes[0]);
  EXPECT_TRUE(queue.claim(nodes[0], 104).was_due);
  EXPECT_EQ(queue.state(nodes[0]), State::idle);
  EXPECT_FALSE(queue.claim(nodes[0], 104).was_due);
  // What was cancelled, put off or disabled meanwhile is popped, but is not due.
  for (std::size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(queue.pop(), &nodes[i]);
    EXPECT_FALSE(queue.claim(nodes[i], 104).was_due);
  }
  EXPECT_EQ(queue.state(nodes[2]), State::armed);
  EXPECT_EQ(queue.pop(), &nodes[4]);
  EXPECT_TRUE(queue.claim(nodes[4], 104).is_armed);
  EXPECT_EQ(queue.earliest(), 114);
}

TEST(TimerQueueTest, WhatIsArmedWhileOthersAreDueIsNotTakenForDue) {
  constexpr std::int64_t kNodes = TimerQueue::kAtOnce;
  TimerQueue queue;
  std::vector<TestNode> nodes(kNodes);
  std::vector<TestNode> others(kNodes);
  std::vector<TestNode*> popped;
  for (std::int64_t round = 0; round < 10; ++round) {
    const std::int64_t now = 10'000 * round;
    for (std::int64_t i = 0; i < kNodes; ++i) (void)queue.arm(nodes[i], now + i);
    queue.collect(now + kNodes);
    for (std::int64_t i = 0; i < kNodes; ++i) {
      (void)queue.arm(others[i], now + 5'000 + i);
      if (i % 3 == 0) (void)queue.arm(nodes[i], now + 6'000 + i);
      if (i % 7 == 0) queue.cancel(nodes[i]);
    }
    for (std::int64_t i = 0; i < kNodes; ++i) {
      ASSERT_EQ(queue.pop(), &nodes[i]);
      ASSERT_EQ(queue.claim(nodes[i], now).was_due, i % 3 != 0 && i % 7 != 0) << i;
    }
    EXPECT_EQ(queue.pop(), nullptr);
    for (TestNode& other : others) EXPECT_EQ(queue.cancel(other), State::armed);
    for (TestNode& node : nodes) queue.cancel(node);
    EXPECT_EQ(queue.size(), 0u);
  }
}

TEST(TimerQueueTest, ADisabledNodeIsNeverArmedAgain) {
  TimerQueue queue;
  TestNode idle, armed, due;
  EXPECT_EQ(queue.disable(idle), State::idle);
  (void)queue.arm(armed, 100);
  EXPECT_EQ(queue.disable(armed), State::armed);
  (void)queue.arm(due, 10);
  EXPECT_EQ(expire(queue, 10), 1u);
  EXPECT_EQ(queue.disable(due), State::due);
  EXPECT_FALSE(queue.claim(due, 10).was_due);
  for (TestNode* const node : {&idle, &armed, &due}) {
    const TimerQueue::Armed again = queue.arm(*node, 20, /*interval=*/5);
    EXPECT_EQ(again.before, State::idle);
    EXPECT_FALSE(again.is_armed);
    EXPECT_FALSE(again.is_earliest);
    EXPECT_EQ(queue.state(*node), State::idle);
    EXPECT_EQ(queue.cancel(*node), State::idle);
    EXPECT_FALSE(queue.arm(*node, kNever).is_armed);
    EXPECT_EQ(queue.disable(*node), State::idle);
    EXPECT_FALSE(queue.arm(*node, 30).is_armed);
  }
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimerQueueTest, TheLastArmSaysWhetherANodeIsPeriodic) {
  TimerQueue queue;
  TestNode node;
  (void)queue.arm(node, 100, /*interval=*/100);
  EXPECT_EQ(expire(queue, 100), 1u);
  EXPECT_EQ(queue.state(node), State::due);
  EXPECT_TRUE(queue.claim(node, 100).is_armed);
  (void)queue.arm(node, 200);
  EXPECT_EQ(expire(queue, 200), 1u);
  EXPECT_TRUE(queue.claim(node, 100).was_due);
  EXPECT_EQ(queue.cancel(node), State::idle);
  (void)queue.arm(node, 300, /*interval=*/100);
  EXPECT_EQ(expire(queue, 300), 1u);
  EXPECT_EQ(queue.cancel(node), State::due);
  EXPECT_FALSE(queue.claim(node, 300).was_due);
}

TEST(TimerQueueTest, APeriodicNodeIsNeverIdleForThoseThatLookMeanwhile) {
  TimerQueue queue;
  TestNode node;
  (void)queue.arm(node, 1, /*interval=*/1);
  std::atomic<bool> is_over{false};
  std::int64_t idle = 0;
  std::thread looks([&] {
    while (!is_over.load()) idle += queue.state(node) == State::idle ? 1 : 0;
  });
  for (std::int64_t now = 1; now <= 100'000; ++now) {
    EXPECT_EQ(expire(queue, now), 1u);
    EXPECT_TRUE(queue.claim(node, now).is_armed);
  }
  is_over = true;
  looks.join();
  EXPECT_EQ(idle, 0);
}

// For ThreadSanitizer.
TEST(TimerQueueTest, AClaimSeesWhatWasDoneBeforeTheArm) {
  for (int round = 0; round < 100; ++round) {
    TimerQueue queue;
    TestNode node;
    int brought = 0;
    std::thread claims([&] {
      while (!queue.claim(node, 100).was_due) std::this_thread::yield();
      EXPECT_EQ(brought, 1);
    });
    std::thread arms([&] {
      brought = 1;
      (void)queue.arm(node, 1);
    });
    while (expire(queue, 1) == 0) std::this_thread::yield();
    claims.join();
    arms.join();
  }
}

// Those that are to be popped live until they are: what comes meanwhile waits.
TEST(TimerQueueTest, ACollectBeforeAllWerePoppedIsLeftForLater) {
  TimerQueue queue;
  TestNode first, second, third;
  (void)queue.arm(first, 1);
  (void)queue.arm(second, 2);
  (void)queue.arm(third, 3);
  queue.collect(2);
  EXPECT_EQ(queue.collected(), 2u);
  EXPECT_EQ(queue.pop(), &first);
  queue.collect(3);
  EXPECT_EQ(queue.collected(), 1u);
  EXPECT_EQ(queue.pop(), &second);
  EXPECT_EQ(queue.pop(), nullptr);
  queue.collect(3);
  EXPECT_EQ(queue.pop(), &third);
}

// More are due than the leader takes at once, and one of the first batch changes one of the second.
TEST(TimerQueueTest, WhatTheLeaderHasNotTakenYetCanBePutOffAndCancelled) {
  constexpr std::size_t kNodes = 2 * TimerQueue::kAtOnce;
  TimerQueue queue;
  std::vector<TestNode> nodes(kNodes);
  for (std::size_t i = 0; i < kNodes; ++i) {
    (void)queue.arm(nodes[i], static_cast<std::int64_t>(i));
  }
  queue.collect(kNodes);
  EXPECT_EQ(queue.collected(), TimerQueue::kAtOnce);
  EXPECT_EQ(queue.earliest(), static_cast<std::int64_t>(TimerQueue::kAtOnce));
  EXPECT_EQ(queue.cancel(nodes[kNodes - 2]), State::armed);
  EXPECT_EQ(queue.arm(nodes[kNodes - 1], 2 * kNodes).before, State::armed);
  std::size_t popped = 0;
  for (; queue.collected() > 0; queue.collect(kNodes)) {
    while (TimerNode* const node = queue.pop()) EXPECT_EQ(node, &nodes[popped++]);
  }
  EXPECT_EQ(popped, kNodes - 2);
  EXPECT_EQ(queue.earliest(), static_cast<std::int64_t>(2 * kNodes));
}

TEST(TimerQueueTest, TheNextPeriodOfWhatIsDueNeedsNoMemory) {
  if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has malloc()";
  TimerQueue queue;
  std::vector<TestNode> periodic(100);
  for (TestNode& node : periodic) (void)queue.arm(node, 10, /*interval=*/10);
  EXPECT_EQ(expire(queue, 10), periodic.size());
  std::vector<TestNode> others(100);
  for (TestNode& node : others) (void)queue.arm(node, 1000);
  const ScopedHeapCount heap;
  for (TestNode& node : periodic) EXPECT_TRUE(queue.claim(node, 10).is_armed);
  EXPECT_EQ(heap.so_far().allocations, 0u);
}

TEST(TimerQueueTest, F26OfACancelAndAClaimOnTwoThreadsExactlyOneWins) {
  for (int round = 0; round < 600; ++round) {
    TimerQueue queue;
    TestNode node;
    (void)queue.arm(node, 1);
    expire(queue, 1);
    absl::Barrier* const barrier = new absl::Barrier(2);
    bool was_cancelled = false;
    std::thread canceller([&] {
      if (barrier->Block()) delete barrier;
      was_cancelled = queue.cancel(node) == State::due;
    });
    if (barrier->Block()) delete barrier;
    const bool was_claimed = queue.claim(node, 1).was_due;
    canceller.join();
    EXPECT_NE(was_cancelled, was_claimed);
  }
}

// The leader pops and claims while others cancel, put off and disable the same nodes: each node
// that was due is had by one of them.
TEST(TimerQueueTest, F26OfTheLeaderAndThoseThatChangeWhatIsDueExactlyOneWins) {
  constexpr int kRounds = 150;
  constexpr std::size_t kNodes = TimerQueue::kAtOnce;
  TimerQueue queue;
  std::vector<TestNode> nodes(kNodes);
  absl::Barrier* barrier = nullptr;
  for (int round = 0; round < kRounds; ++round) {
    const std::int64_t now = 1'000'000 * round;
    for (std::size_t i = 0; i < kNodes; ++i) {
      EXPECT_EQ(queue.arm(nodes[i], now + static_cast<std::int64_t>(i)).before,
                round % 3 == 1 ? State::armed : State::idle);
    }
    queue.collect(now + kNodes);
    barrier = new absl::Barrier(2);
    std::vector<State> was(kNodes, State::idle);
    std::thread other([&, round] {
      if (barrier->Block()) delete barrier;
      for (std::size_t i = kNodes; i-- > 0;) {
        was[i] =
            round % 3 == 0 ? queue.arm(nodes[i], now + 2'000'000).before : queue.cancel(nodes[i]);
      }
    });
    if (barrier->Block()) delete barrier;
    std::vector<bool> was_claimed(kNodes);
    for (std::size_t i = 0; i < kNodes; ++i) {
      ASSERT_EQ(queue.pop(), &nodes[i]);
      was_claimed[i] = queue.claim(nodes[i], now).was_due;
    }
    other.join();
    for (std::size_t i = 0; i < kNodes; ++i) {
      EXPECT_NE(was_claimed[i], was[i] == State::due) << i;
      EXPECT_EQ(queue.state(nodes[i]), round % 3 == 0 ? State::armed : State::idle);
    }
    EXPECT_EQ(queue.size(), round % 3 == 0 ? kNodes : 0u);
  }
}

TEST(TimerQueueTest, CloseExpiresAllAndNothingIsArmedAfterwards) {
  TimerQueue queue;
  int expired = 0;
  TestNode soon([&] { ++expired; });
  TestNode in_a_century([&] { ++expired; });
  TestNode idle([&] { ++expired; });
  (void)queue.arm(soon, 1);
  (void)queue.arm(in_a_century, std::int64_t{100} * 365 * 24 * 3600 * 1'000'000'000);
  queue.close();
  EXPECT_EQ(expired, 2);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.earliest(), kNever);
  const TimerQueue::Armed armed = queue.arm(idle, 5);
  EXPECT_FALSE(armed.is_armed);
  EXPECT_FALSE(armed.is_earliest);
  EXPECT_EQ(queue.state(idle), State::idle);
  EXPECT_EQ(expire(queue, kNever - 1), 0u);
}

TEST(TimerQueueTest, ANodeWithRoomOfItsOwnIsArmedWithoutMemory) {
  if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has replaced malloc()";
  for (int others = 0; others <= 40; ++others) {  // some of them fill the heap
    TimerQueue queue;
    TestNode kept;
    queue.keep_room();
    std::vector<std::unique_ptr<TestNode>> nodes;
    for (int i = 0; i < others; ++i) {
      nodes.push_back(std::make_unique<TestNode>());
      (void)queue.arm(*nodes.back(), 1000 + i);
    }
    {
      const ScopedHeapCount heap;
      EXPECT_TRUE(queue.arm_in_room(kept, 500).is_earliest);
      EXPECT_EQ(queue.arm_in_room(kept, 2000).before, State::armed);
      EXPECT_EQ(queue.cancel(kept), State::armed);
      EXPECT_TRUE(queue.arm_in_room(kept, 400).is_armed);
      EXPECT_EQ(heap.so_far().allocations, 0u) << others;
    }
    EXPECT_EQ(expire(queue, 400), 1u);
    queue.give_room_back();
  }
}

TEST(TimerQueueTest, ArmingAndCancellingFromManyThreadsLosesNoNode) {
  constexpr int kThreads = 3;
  constexpr int kEach = 3000;
  TimerQueue queue;
  std::atomic<int> expired{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  std::vector<std::vector<std::unique_ptr<TestNode>>> nodes(kThreads);
  for (auto& own : nodes) {
    for (int i = 0; i < kEach; ++i) {
      own.push_back(std::make_unique<TestNode>([&] { expired.fetch_add(1); }));
    }
  }
  for (auto& own : nodes) {
    threads.emplace_back([&queue, &cancelled, &running, &own] {
      std::int64_t deadline = 0;
      for (const auto& node : own) {
        (void)queue.arm(*node, deadline += 700'000);
        if (deadline % 3 == 0 && queue.cancel(*node) == State::armed) cancelled.fetch_add(1);
      }
      running.fetch_sub(1);
    });
  }
  std::int64_t now = 0;
  while (running.load() > 0) expire(queue, now += 100'000);
  for (std::thread& thread : threads) thread.join();
  expire(queue, kNever - 1);
  EXPECT_EQ(expired.load() + cancelled.load(), kThreads * kEach);
  EXPECT_EQ(queue.size(), 0u);
}

}  // namespace
}  // namespace epore::internal
