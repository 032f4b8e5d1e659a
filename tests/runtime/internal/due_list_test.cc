#include "runtime/internal/due_list.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/internal/runnable.h"
#include "runtime/internal/timer_wheel.h"

namespace epore::internal {
namespace {

class TestNode final : public TimerNode {
 public:
  Ref<Runnable> expired() override { return {}; }
};

// Nodes with these deadlines; only a wheel gives them one.
class Nodes {
 public:
  explicit Nodes(const std::vector<std::int64_t>& deadlines) : nodes_(deadlines.size()) {
    for (std::size_t i = 0; i < deadlines.size(); ++i) wheel_.insert(nodes_[i], deadlines[i]);
  }

  // Their indexes as they come.
  std::vector<std::size_t> sorted(DueList& list, std::int64_t now) {
    list.begin(now);
    for (TestNode& node : nodes_) list.add(node);
    list.sort();
    EXPECT_EQ(list.size(), nodes_.size());
    std::vector<std::size_t> indexes;
    while (TimerNode* const node = list.pop()) {
      indexes.push_back(static_cast<std::size_t>(static_cast<TestNode*>(node) - nodes_.data()));
    }
    EXPECT_EQ(list.size(), 0u);
    return indexes;
  }

 private:
  TimerWheel wheel_{0};
  std::vector<TestNode> nodes_;
};

std::vector<std::size_t> expected(const std::vector<std::int64_t>& deadlines) {
  std::vector<std::size_t> indexes;
  for (std::size_t i = 0; i < deadlines.size(); ++i) indexes.push_back(i);
  std::sort(indexes.begin(), indexes.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(deadlines[a], a) < std::pair(deadlines[b], b);
  });
  return indexes;
}

TEST(DueListTest, AnEmptyOneHasNone) {
  DueList list;
  EXPECT_EQ(list.size(), 0u);
  EXPECT_EQ(list.pop(), nullptr);
  list.begin(5);
  list.sort();
  EXPECT_EQ(list.pop(), nullptr);
}

// A few and many, close together and years apart, many equal ones, and in order from the beginning.
TEST(DueListTest, TheyComeEarliestFirstAndEqualOnesAsTheyWereAdded) {
  std::mt19937_64 random(1);
  constexpr std::int64_t kNow = std::int64_t{1} << 61;
  DueList list;
  for (const std::size_t count : {1u, 2u, 30u, 255u, 256u, 5000u}) {
    for (const int bits : {0, 1, 5, 11, 12, 21, 22, 23, 31, 32, 33, 50, 60}) {
      std::vector<std::int64_t> deadlines(count);
      for (std::int64_t& deadline : deadlines) {
        deadline = kNow - static_cast<std::int64_t>(random() % (std::uint64_t{1} << bits));
      }
      EXPECT_EQ(Nodes(deadlines).sorted(list, kNow), expected(deadlines)) << count << " " << bits;
      std::sort(deadlines.begin(), deadlines.end());
      EXPECT_EQ(Nodes(deadlines).sorted(list, kNow), expected(deadlines)) << count << " " << bits;
    }
  }
}

TEST(DueListTest, TheBeginningOfTimeIsInOrderToo) {
  DueList list;
  const std::vector<std::int64_t> deadlines = {3, 0, -(std::int64_t{1} << 62), 2, -1, 2};
  EXPECT_EQ(Nodes(deadlines).sorted(list, 3), expected(deadlines));
}

TEST(DueListTest, ItBeginsAnewThoughNotAllWerePopped) {
  DueList list;
  TestNode nodes[3];
  list.begin(kNever - 1);
  for (TestNode& node : nodes) list.add(node);
  list.sort();
  EXPECT_EQ(list.pop(), &nodes[0]);
  list.begin(kNever - 1);
  list.add(nodes[2]);
  list.sort();
  EXPECT_EQ(list.size(), 1u);
  EXPECT_EQ(list.pop(), &nodes[2]);
  EXPECT_EQ(list.pop(), nullptr);
}

}  // namespace
}  // namespace epore::internal
