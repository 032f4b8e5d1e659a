#include "epore/runtime/internal/timers/timer_wheel.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "epore/runtime/internal/timers/timer_queue.h"
#include "gtest/gtest.h"
#include "tests/runtime/internal/timers/test_node.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kTick = std::int64_t{1} << 20;
constexpr std::int64_t kYear = std::int64_t{365} * 24 * 3600 * 1'000'000'000;

std::vector<TimerNode*> advance(TimerWheel& wheel, std::int64_t now) {
  DueList list;
  wheel.advance(now, list);
  std::vector<TimerNode*> due;
  while (const DueList::Due one = list.pop()) {
    EXPECT_TRUE(TimerQueue::claim_popped(one));
    due.push_back(one.node);
  }
  return due;
}

TEST(TimerWheelTest, AnEmptyWheelHasNoDeadline) {
  TimerWheel wheel(5 * kTick);
  EXPECT_EQ(wheel.next_deadline(), kNever);
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_TRUE(advance(wheel, kNever - 1).empty());
}

TEST(TimerWheelTest, ATimerIsDueAtItsNanosecondAndNotBefore) {
  TimerWheel wheel(0);
  TestNode node;
  const std::int64_t deadline = 3 * kTick + 17;
  wheel.insert(node, deadline);
  EXPECT_EQ(wheel.next_deadline(), deadline);
  EXPECT_TRUE(advance(wheel, deadline - 1).empty());
  EXPECT_EQ(wheel.next_deadline(), deadline);
  EXPECT_EQ(advance(wheel, deadline), (std::vector<TimerNode*>{&node}));
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_FALSE(wheel.remove(node));
}

TEST(TimerWheelTest, ThePastIsDueAtOnceEarliestFirst) {
  TimerWheel wheel(1000 * kTick);
  TestNode nodes[4];
  const std::int64_t deadlines[] = {999 * kTick, -5, 1000 * kTick, 0};
  for (int i = 0; i < 4; ++i) wheel.insert(nodes[i], deadlines[i]);
  EXPECT_EQ(wheel.next_deadline(), -5);
  EXPECT_EQ(advance(wheel, 1000 * kTick),
            (std::vector<TimerNode*>{&nodes[1], &nodes[3], &nodes[0], &nodes[2]}));
}

TEST(TimerWheelTest, AHundredYearsAreOneStep) {
  TimerWheel wheel(kTick);
  TestNode soon;
  TestNode late;
  wheel.insert(soon, kTick + 1);
  wheel.insert(late, 100 * kYear);
  EXPECT_EQ(advance(wheel, 100 * kYear - 1), (std::vector<TimerNode*>{&soon}));
  EXPECT_EQ(wheel.next_deadline(), 100 * kYear);
  EXPECT_EQ(advance(wheel, 100 * kYear), (std::vector<TimerNode*>{&late}));
}

TEST(TimerWheelTest, AClockThatStandsStillOrStepsBackDoesNoHarm) {
  TimerWheel wheel(1000 * kTick);
  TestNode node;
  wheel.insert(node, 1001 * kTick);
  EXPECT_TRUE(advance(wheel, 1000 * kTick).empty());
  EXPECT_TRUE(advance(wheel, 10).empty());
  EXPECT_EQ(advance(wheel, 1001 * kTick), (std::vector<TimerNode*>{&node}));
}

// Many are sorted in another way than a few, if they are not too far apart.
TEST(TimerWheelTest, ManyThatAreDueTogetherComeEarliestFirst) {
  constexpr std::size_t kNodes = 2000;
  constexpr std::int64_t kNow = 5000 * kTick;
  std::mt19937_64 random(1);
  for (const std::int64_t range : {std::int64_t{3}, std::int64_t{2000}, (std::int64_t{1} << 22) - 1,
                                   std::int64_t{1} << 22, 4000 * kTick, 4990 * kTick}) {
    for (const std::int64_t from : {std::int64_t{-1000}, std::int64_t{0}, kNow - range}) {
      TimerWheel wheel(kNow);
      std::vector<TestNode> nodes(kNodes);
      std::vector<std::int64_t> deadlines = {from + range, from};  // the ends are there
      while (deadlines.size() < kNodes) {
        deadlines.push_back(
            from + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(range + 1)));
      }
      std::map<TimerNode*, std::int64_t> deadline_of;
      for (std::size_t i = 0; i < kNodes; ++i) {
        wheel.insert(nodes[i], deadlines[i]);
        deadline_of[&nodes[i]] = deadlines[i];
      }
      std::vector<std::int64_t> came;
      for (TimerNode* node : advance(wheel, kNow)) came.push_back(deadline_of[node]);
      std::sort(deadlines.begin(), deadlines.end());
      EXPECT_EQ(came, deadlines) << range << " from " << from;
    }
  }
}

TEST(TimerWheelTest, AllAreTakenOutWhereverTheyHang) {
  TimerWheel wheel(kTick);
  TestNode nodes[4];
  wheel.insert(nodes[0], 0);
  wheel.insert(nodes[1], kTick + 1);
  wheel.insert(nodes[2], kTick + 2);
  wheel.insert(nodes[3], 100 * kYear);
  std::vector<TimerNode*> taken;
  wheel.take_all(taken);
  std::sort(taken.begin(), taken.end());
  EXPECT_EQ(taken, (std::vector<TimerNode*>{&nodes[0], &nodes[1], &nodes[2], &nodes[3]}));
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_EQ(wheel.next_deadline(), kNever);
  EXPECT_FALSE(wheel.remove(nodes[3]));
  wheel.insert(nodes[3], 5 * kTick);
  EXPECT_EQ(advance(wheel, 5 * kTick), (std::vector<TimerNode*>{&nodes[3]}));
}

// F24: the wheel against the simplest thing that is right.
class Comparison {
 public:
  explicit Comparison(std::uint64_t seed) : random_(seed), now_(start()), wheel_(now_) {
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

  // Now, in the past, at and around every boundary of every level, and at the end of time.
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
    wheel_.insert(*nodes_[node], deadline);
    places_[node] = by_deadline_.emplace(deadline, node);
  }

  void move(std::uint64_t node, std::int64_t deadline) {
    wheel_.move(*nodes_[node], deadline);
    if (places_[node] != by_deadline_.end()) by_deadline_.erase(places_[node]);
    places_[node] = by_deadline_.emplace(deadline, node);
  }

  void remove(std::uint64_t node) {
    const bool was_in = places_[node] != by_deadline_.end();
    EXPECT_EQ(wheel_.remove(*nodes_[node]), was_in);
    if (!was_in) return;
    by_deadline_.erase(places_[node]);
    places_[node] = by_deadline_.end();
  }

  void advance_by(std::int64_t step) {
    if (step > kNever - 2 - now_) step = kNever - 2 - now_;
    now_ += step;
    std::vector<std::int64_t> deadlines;
    for (TimerNode* node : advance(wheel_, now_)) {
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
    EXPECT_EQ(wheel_.size(), by_deadline_.size());
    // Not every time, as it puts what was put off where it belongs.
    if (pick(3) == 0) {
      EXPECT_EQ(wheel_.next_deadline(), earliest) << "at " << now_;
    }
  }

  std::mt19937_64 random_;
  std::int64_t now_;
  TimerWheel wheel_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
  ByDeadline by_deadline_;
  std::vector<ByDeadline::iterator> places_;
};

TEST(TimerWheelTest, F24ItIsTheSameAsASortedMap) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Comparison(seed).run(400);
    if (HasFailure()) return;
  }
}

TEST(TimerWheelTest, SaturatingAddStopsAtTheEndOfTime) {
  EXPECT_EQ(saturating_add(1, 2), 3);
  EXPECT_EQ(saturating_add(1, kNever - 1), kNever);
  EXPECT_EQ(saturating_add(1, kNever), kNever);
  EXPECT_EQ(saturating_add(kNever, kNever), kNever);
  EXPECT_EQ(saturating_add(5, -5), 0);
}

}  // namespace
}  // namespace epore::internal
