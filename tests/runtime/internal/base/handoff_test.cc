#include "epore/runtime/internal/base/handoff.h"

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace epore::internal {
namespace {

struct Number : HandoffNode<Number> {
  explicit Number(int n) : number(n) {}
  const int number;
};

// Without room for a hint, and with a link of its own, as a Runnable.
struct Bare {
  Bare* next_ = nullptr;
};

std::vector<int> numbers(HandoffList<Number>& list) {
  std::vector<int> all;
  while (!list.empty()) all.push_back(list.pop()->number);
  return all;
}

TEST(HandoffTest, ThePushesAreTakenInTheirOrderAndBehindWhatTheListHolds) {
  Handoff<Number> handoff;
  HandoffList<Number> list;
  EXPECT_TRUE(handoff.empty());
  list.append(handoff.take());
  EXPECT_TRUE(list.empty());
  list.push(std::make_unique<Number>(0));
  for (int i = 1; i < 30; ++i) EXPECT_TRUE(handoff.push(new Number(i)));
  EXPECT_FALSE(handoff.empty());
  list.append(handoff.take());
  EXPECT_TRUE(handoff.empty());
  list.push(std::make_unique<Number>(30));
  EXPECT_EQ(list.size(), 31u);
  std::vector<int> expected;
  for (int i = 0; i <= 30; ++i) expected.push_back(i);
  EXPECT_EQ(numbers(list), expected);
  EXPECT_EQ(list.size(), 0u);
}

TEST(HandoffTest, ANodeNeedsNoRoomForTheHint) {
  Handoff<Bare> handoff;
  Bare nodes[3];
  for (Bare& node : nodes) EXPECT_TRUE(handoff.push(&node));
  const Handoff<Bare>::Chain chain = handoff.take();
  EXPECT_EQ(chain.size, 3u);
  EXPECT_EQ(chain.first, &nodes[0]);
  EXPECT_EQ(chain.last, &nodes[2]);
}

TEST(HandoffTest, OneThatIsClosedTakesNothingAndOneThatHoldsSomethingIsNotClosed) {
  Handoff<Number> handoff;
  HandoffList<Number> list;
  EXPECT_TRUE(handoff.push(new Number(0)));
  EXPECT_FALSE(handoff.close());
  list.append(handoff.take());
  EXPECT_TRUE(handoff.close());
  EXPECT_TRUE(handoff.close());
  EXPECT_TRUE(handoff.empty());
  Number late(1);
  EXPECT_FALSE(handoff.push(&late));
  list.append(handoff.take());
  EXPECT_EQ(numbers(list), std::vector<int>{0});
}

TEST(HandoffTest, ARingOwnsNothingAndKeepsTheSequence) {
  Handoff<Bare> handoff;
  HandoffRing<Bare> ring;
  ring.append(handoff.take());
  EXPECT_TRUE(ring.empty());
  Bare nodes[5];
  for (int round = 0; round < 2; ++round) {
    ring.push(&nodes[0]);
    EXPECT_EQ(ring.pop(), &nodes[0]);
    EXPECT_TRUE(ring.empty());
    ring.push(&nodes[0]);
    ring.push(&nodes[1]);
    for (int i = 2; i < 4; ++i) EXPECT_TRUE(handoff.push(&nodes[i]));
    ring.append(handoff.take());
    EXPECT_EQ(ring.pop(), &nodes[0]);
    ring.push(&nodes[4]);
    HandoffRing<Bare> moved(std::move(ring));
    EXPECT_TRUE(ring.empty());  // NOLINT: as it says
    for (int i = 1; i < 5; ++i) EXPECT_EQ(moved.pop(), &nodes[i]);
    EXPECT_TRUE(moved.empty());
  }
}

TEST(HandoffTest, AListThatIsMovedIsEmptyAndOneThatIsDroppedDestroysItsNodes) {
  HandoffList<Number> list;
  list.push(std::make_unique<Number>(0));
  list.push(std::make_unique<Number>(1));
  const HandoffList<Number> moved(std::move(list));
  EXPECT_TRUE(list.empty());  // NOLINT: as it says
  EXPECT_EQ(moved.size(), 2u);
}

// The hints name nodes that are gone by then.
TEST(HandoffTest, ManyThreadsPushInTheirOwnOrderAndNothingIsLost) {
  constexpr int kThreads = 4;
  constexpr int kEach = 3000;
  Handoff<Number> handoff;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) EXPECT_TRUE(handoff.push(new Number(i * kThreads + t)));
    });
  }
  std::vector<int> next(kThreads, 0);
  for (int left = kThreads * kEach; left > 0;) {
    HandoffList<Number> list;
    list.append(handoff.take());
    for (; !list.empty(); --left) {
      const int number = list.pop()->number;
      EXPECT_EQ(number / kThreads, next[static_cast<std::size_t>(number % kThreads)]++);
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(handoff.empty());
}

}  // namespace
}  // namespace epore::internal
