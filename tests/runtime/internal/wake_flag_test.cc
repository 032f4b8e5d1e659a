#include "runtime/internal/wake_flag.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/interleavings.h"

namespace epore::internal {
namespace {

TEST(WakeFlagTest, ProducersWriteOnlyWhileThePollThreadMaySleepAndThenOne) {
  WakeFlag flag;
  EXPECT_FALSE(flag.claim());  // it starts awake
  flag.allow();
  EXPECT_TRUE(flag.claim());
  EXPECT_FALSE(flag.claim());
  flag.awake();
  EXPECT_FALSE(flag.claim());
}

TEST(WakeFlagTest, AFailedWriteLeavesTheNextProducerToWrite) {
  WakeFlag flag;
  flag.allow();
  EXPECT_TRUE(flag.claim());
  flag.failed();
  EXPECT_TRUE(flag.claim());
}

// How the poll thread of a model goes to sleep, and what a producer does after a failed write.
enum class Order { flag_first, queues_first };
enum class AfterFailure { lower, leave };

// A poll thread and two producers, each with two pieces of work. The first write may fail.
class WakeModel {
 public:
  WakeModel(Order order, bool first_write_fails, AfterFailure after_failure)
      : order_(order), write_fails_(first_write_fails), after_failure_(after_failure) {}

  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(poll_thread());
    threads.push_back(producer());
    // After a failed write only a later producer can help, so there it comes later.
    threads.push_back(write_fails_ ? later_producer() : producer());
    return threads;
  }

  std::vector<std::int64_t> state() const {
    return {queued_, eventfd_, flag_, found_, write_fails_, is_first_done_};
  }

  std::string violation(bool is_over) const {
    if (is_over && queued_ > 0) return "it sleeps with work in the queue";
    return "";
  }

 private:
  ModelThread poll_thread() {
    for (;;) {
      if (order_ == Order::flag_first) {
        co_await step("allow");
        allow();
        co_await step("look");
        found_ = queued_;
      } else {
        co_await step("look");
        found_ = queued_;
        co_await step("allow");
        allow();
      }
      if (found_ == 0) {
        co_await step("sleep", [this] { return eventfd_ > 0; });
        eventfd_ = 0;
      }
      co_await step("awake");
      awake();
      co_await step("take");
      queued_ = 0;
    }
  }

  ModelThread producer() {
    co_await step("push");
    ++queued_;
    co_await step("claim");
    if (claim()) {
      co_await step("write");
      if (!std::exchange(write_fails_, false)) {
        ++eventfd_;
      } else if (after_failure_ == AfterFailure::lower) {
        co_await step("failed");
        failed();
      }
    }
    is_first_done_ = true;
    co_await step("push another");
    ++queued_;
    co_await step("claim again");
    if (claim()) {
      co_await step("write again");
      ++eventfd_;
    }
  }

  ModelThread later_producer() {
    co_await step("push later", [this] { return is_first_done_; });
    ++queued_;
    co_await step("claim");
    if (claim()) {
      co_await step("write");
      ++eventfd_;
    }
  }

  // The real flag, and its value for state().
  void allow() {
    flag_ = 0;
    real_.allow();
  }
  void awake() {
    flag_ = 1;
    real_.awake();
  }
  bool claim() {
    flag_ = 1;
    return real_.claim();
  }
  void failed() {
    flag_ = 0;
    real_.failed();
  }

  const Order order_;
  bool write_fails_;
  const AfterFailure after_failure_;
  WakeFlag real_;
  int flag_ = 1;
  int queued_ = 0;
  int found_ = 0;
  int eventfd_ = 0;
  bool is_first_done_ = false;
};

Exploration explore(Order order, bool first_write_fails = false,
                    AfterFailure after_failure = AfterFailure::lower) {
  return explore_interleavings(
      [=] { return std::make_unique<WakeModel>(order, first_write_fails, after_failure); });
}

TEST(WakeFlagTest, NoInterleavingLetsThePollThreadSleepWithWorkInTheQueue) {
  const Exploration found = explore(Order::flag_first);
  EXPECT_EQ(found.violation, "") << found.trace;
  EXPECT_GT(found.states, 200u);
}

TEST(WakeFlagTest, F18AfterAFailedWriteTheNextProducerWakes) {
  const Exploration found = explore(Order::flag_first, /*first_write_fails=*/true);
  EXPECT_EQ(found.violation, "") << found.trace;
}

TEST(WakeFlagTest, TheExplorerFindsTheLostWakeOfLookingBeforeLoweringTheFlag) {
  EXPECT_EQ(explore(Order::queues_first).violation, "it sleeps with work in the queue");
}

TEST(WakeFlagTest, F18TheExplorerFindsTheFlagThatAFailedWriteLeavesUp) {
  EXPECT_EQ(explore(Order::flag_first, /*first_write_fails=*/true, AfterFailure::leave).violation,
            "it sleeps with work in the queue");
}

}  // namespace
}  // namespace epore::internal
