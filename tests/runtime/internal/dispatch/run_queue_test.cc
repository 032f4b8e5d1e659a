#include "epore/runtime/internal/dispatch/run_queue.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/runtime/internal/reactor/core_test_base.h"

namespace epore::internal {
namespace {

class RunQueueTest : public CoreTest {
 protected:
  // One that appends `number` to ran_ when it runs.
  Ref<Runnable> make(int number) {
    return Ref<Runnable>::adopt(
        new TestRunnable(reactor(), [this, number] { ran_.push_back(number); }));
  }
  void run_all(RunQueue& queue) {
    while (!queue.empty()) queue.pop()->run();
  }

  std::vector<int> ran_;
};

TEST_F(RunQueueTest, WhatGoesInFirstComesOutFirst) {
  RunQueue queue;
  EXPECT_TRUE(queue.empty());
  for (int i = 0; i < 3; ++i) queue.push(make(i));
  EXPECT_EQ(queue.size(), 3u);
  run_all(queue);
  EXPECT_EQ(ran_, (std::vector<int>{0, 1, 2}));
  queue.push(make(3));
  run_all(queue);
  EXPECT_EQ(ran_.back(), 3);
  EXPECT_EQ(queue.size(), 0u);
}

TEST_F(RunQueueTest, AppendMovesAllToTheEndAndLeavesTheOtherEmpty) {
  RunQueue queue;
  RunQueue other;
  queue.append(other);
  EXPECT_TRUE(queue.empty());
  queue.push(make(0));
  other.push(make(1));
  other.push(make(2));
  queue.append(other);
  EXPECT_TRUE(other.empty());
  EXPECT_EQ(queue.size(), 3u);
  queue.push(make(3));
  other.push(make(4));
  other.append(queue);
  run_all(other);
  EXPECT_EQ(ran_, (std::vector<int>{4, 0, 1, 2, 3}));
}

TEST_F(RunQueueTest, AQueueThatIsDroppedDropsWhatIsInIt) {  // or the leak detector will tell
  RunQueue queue;
  queue.push(make(0));
  Inbox inbox;
  EXPECT_TRUE(inbox.push(make(1)));
  EXPECT_TRUE(ran_.empty());
}

using InboxTest = RunQueueTest;

TEST_F(InboxTest, ThePushesComeOutInTheirOrderBehindWhatTheQueueHolds) {
  Inbox inbox;
  RunQueue queue;
  queue.push(make(0));
  EXPECT_TRUE(inbox.empty());
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(inbox.push(make(i)));
  EXPECT_FALSE(inbox.empty());
  inbox.take(queue);
  EXPECT_TRUE(inbox.empty());
  inbox.take(queue);
  run_all(queue);
  EXPECT_EQ(ran_, (std::vector<int>{0, 1, 2, 3}));
}

TEST_F(InboxTest, AClosedInboxTakesNothingAndOneThatHoldsSomethingIsNotClosed) {
  Inbox inbox;
  RunQueue queue;
  EXPECT_TRUE(inbox.push(make(0)));
  EXPECT_FALSE(inbox.close());
  EXPECT_TRUE(inbox.push(make(1)));
  inbox.take(queue);
  EXPECT_TRUE(inbox.close());
  EXPECT_TRUE(inbox.close());
  EXPECT_TRUE(inbox.empty());
  Ref<Runnable> late = make(2);
  EXPECT_FALSE(inbox.push(std::move(late)));
  EXPECT_TRUE(late);  // NOLINT: it was not taken
  inbox.take(queue);
  run_all(queue);
  EXPECT_EQ(ran_, (std::vector<int>{0, 1}));
}

TEST_F(InboxTest, ManyThreadsPushInTheirOwnOrderAndNothingIsLost) {
  constexpr int kThreads = 3;
  constexpr int kEach = 3000;
  Inbox inbox;
  Reactor& home = reactor();
  std::vector<int> last(kThreads, -1);
  int ran = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        EXPECT_TRUE(inbox.push(Ref<Runnable>::adopt(new TestRunnable(home, [&, t, i] {
          EXPECT_EQ(last[static_cast<std::size_t>(t)] + 1, i);
          last[static_cast<std::size_t>(t)] = i;
          ++ran;
        }))));
      }
    });
  }
  RunQueue queue;
  while (ran < kThreads * kEach) {
    inbox.take(queue);
    run_all(queue);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(inbox.empty());
}

}  // namespace
}  // namespace epore::internal
