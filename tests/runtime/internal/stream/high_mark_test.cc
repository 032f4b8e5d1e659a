#include "epore/runtime/internal/stream/high_mark.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/interleavings.h"

namespace epore::internal {
namespace {

TEST(HighMarkTest, TheFirstSenderAboveItSetsIt) {
  HighMark mark;
  EXPECT_FALSE(mark.is_set());
  EXPECT_TRUE(mark.set());
  EXPECT_FALSE(mark.set());
  EXPECT_TRUE(mark.is_set());
  mark.clear();
  EXPECT_FALSE(mark.is_set());
}

enum class Order { clear_first, look_first };

// A queue that is low, of a sender that was told `high`; a runner that finds it so; and another
// sender, whose bytes the runner writes as soon as it may.
class HighMarkModel {
 public:
  explicit HighMarkModel(Order order) : order_(order) { mark_.set(); }

  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(runner());
    threads.push_back(sender());
    return threads;
  }

  std::vector<std::int64_t> state() const { return {queued_, owed_, found_, mark_.is_set()}; }

  std::string violation(bool is_over) const {
    if (is_over && owed_) return "a sender waits for on_writable for ever";
    return "";
  }

 private:
  ModelThread runner() {
    for (;;) {
      co_await step("write", [this] { return mark_.is_set(); });
      queued_ = 0;
      if (order_ == Order::clear_first) {
        co_await step("clear");
        mark_.clear();
        co_await step("look");
        found_ = queued_;
        if (found_ > 0) {
          co_await step("set back");
          mark_.set();
        }
      } else {
        co_await step("look first");
        found_ = queued_;
        if (found_ == 0) {
          co_await step("clear at last");
          mark_.clear();
        }
      }
      if (found_ == 0) {
        co_await step("on_writable");
        if (queued_ == 0) owed_ = false;  // who has sent since counts on the next one
      }
    }
  }

  ModelThread sender() {
    co_await step("count");
    ++queued_;
    co_await step("set");
    mark_.set();
    owed_ = true;
  }

  const Order order_;
  HighMark mark_;
  std::int64_t queued_ = 0;
  std::int64_t found_ = 0;
  bool owed_ = true;
};

Exploration explore(Order order) {
  return explore_interleavings([order] { return std::make_unique<HighMarkModel>(order); });
}

TEST(HighMarkTest, NoSenderIsForgotten) {
  const Exploration result = explore(Order::clear_first);
  EXPECT_EQ(result.violation, "") << result.trace;
  EXPECT_GT(result.states, 10u);
}

TEST(HighMarkTest, ALookBeforeTheClearingForgetsOne) {
  EXPECT_EQ(explore(Order::look_first).violation, "a sender waits for on_writable for ever");
}

}  // namespace
}  // namespace epore::internal
