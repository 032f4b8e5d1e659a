#include "epore/runtime/internal/timers/due_list.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/runtime/internal/timers/test_node.h"

namespace epore::internal {
namespace {

// The indexes of cells with these deadlines, as they come.
std::vector<std::size_t> sorted(const std::vector<std::int64_t>& deadlines, DueList& list,
                                std::int64_t now) {
  TestNode node;
  std::vector<TimerCell> cells;
  for (std::int64_t deadline : deadlines) cells.push_back({&node, deadline});
  list.begin(now);
  for (const TimerCell& cell : cells) list.add(cell);
  list.sort();
  EXPECT_EQ(list.size(), cells.size());
  std::vector<std::size_t> indexes;
  while (const DueList::Due due = list.pop()) {
    EXPECT_EQ(due.node, &node);
    indexes.push_back(static_cast<std::size_t>(due.cell - cells.data()));
  }
  EXPECT_EQ(list.size(), 0u);
  return indexes;
}

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
  EXPECT_EQ(list.pop().node, nullptr);
  list.begin(5);
  list.sort();
  EXPECT_EQ(list.pop().node, nullptr);
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
      EXPECT_EQ(sorted(deadlines, list, kNow), expected(deadlines)) << count << " " << bits;
      std::sort(deadlines.begin(), deadlines.end());
      EXPECT_EQ(sorted(deadlines, list, kNow), expected(deadlines)) << count << " " << bits;
    }
  }
}

TEST(DueListTest, TheBeginningOfTimeIsInOrderToo) {
  DueList list;
  const std::vector<std::int64_t> deadlines = {3, 0, -(std::int64_t{1} << 62), 2, -1, 2};
  EXPECT_EQ(sorted(deadlines, list, 3), expected(deadlines));
}

TEST(DueListTest, ItBeginsAnewThoughNotAllWerePopped) {
  DueList list;
  TestNode nodes[3];
  const TimerCell cells[] = {{&nodes[0], 5}, {&nodes[1], 5}, {&nodes[2], 5}};
  list.begin(kNever - 1);
  for (const TimerCell& cell : cells) list.add(cell);
  list.sort();
  EXPECT_EQ(list.pop().node, &nodes[0]);
  list.begin(kNever - 1);
  list.add(cells[2]);
  list.sort();
  EXPECT_EQ(list.size(), 1u);
  EXPECT_EQ(list.pop().node, &nodes[2]);
  EXPECT_EQ(list.pop().node, nullptr);
}

}  // namespace
}  // namespace epore::internal
