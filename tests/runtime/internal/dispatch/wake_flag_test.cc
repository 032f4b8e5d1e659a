#include "epore/runtime/internal/dispatch/wake_flag.h"

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
  EXPECT_FALSE(flag.set());  // it starts awake
  flag.allow();
  EXPECT_TRUE(flag.set());
  EXPECT_FALSE(flag.set());
  flag.awake();
  EXPECT_FALSE(flag.set());
}

TEST(WakeFlagTest, AFailedWriteLeavesTheNextProducerToWrite) {
  WakeFlag flag;
  flag.allow();
  EXPECT_TRUE(flag.set());
  flag.failed();
  EXPECT_TRUE(flag.set());
}

// How the poll thread of a model goes to sleep, what a producer does after a failed write, and
// whether it looks at the flag before it writes to it.
enum class Order { flag_first, queues_first };
enum class AfterFailure { lower, leave };
enum class FirstLook { none, after_push, before_push };

// A poll thread and two producers, each with two pieces of work. The first write may fail.
class WakeModel {
 public:
  WakeModel(Order order, bool first_write_fails, AfterFailure after_failure, FirstLook first_look)
      : order_(order),
        write_fails_(first_write_fails),
        after_failure_(after_failure),
        first_look_(first_look) {}

  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(poll_thread());
    if (first_look_ != FirstLook::none) {
      threads.push_back(looking_producer());
      threads.push_back(looking_producer());
      return threads;
    }
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
    co_await step("set");
    if (set()) {
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
    co_await step("set again");
    if (set()) {
      co_await step("write again");
      ++eventfd_;
    }
  }

  ModelThread later_producer() {
    co_await step("push later", [this] { return is_first_done_; });
    ++queued_;
    co_await step("set");
    if (set()) {
      co_await step("write");
      ++eventfd_;
    }
  }

  // As Reactor::submit(): most of the time the load says that there is nothing to do.
  ModelThread looking_producer() {
    static constexpr const char* kNames[2][4] = {
        {"look 1", "push 1", "set 1", "write 1"},
        {"look 2", "push 2", "set 2", "write 2"},
    };
    static constexpr const char* kPushBlindly[2] = {"push 1, seen awake", "push 2, seen awake"};
    for (int i = 0; i < 2; ++i) {
      if (first_look_ == FirstLook::before_push) {
        co_await step(kNames[i][0]);
        if (real_.is_awake()) {
          co_await step(kPushBlindly[i]);
          ++queued_;
          continue;
        }
      }
      co_await step(kNames[i][1]);
      ++queued_;
      if (first_look_ == FirstLook::after_push) {
        co_await step(kNames[i][0]);
        if (real_.is_awake()) continue;
      }
      co_await step(kNames[i][2]);
      if (set()) {
        co_await step(kNames[i][3]);
        ++eventfd_;
      }
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
  bool set() {
    flag_ = 1;
    return real_.set();
  }
  void failed() {
    flag_ = 0;
    real_.failed();
  }

  const Order order_;
  bool write_fails_;
  const AfterFailure after_failure_;
  const FirstLook first_look_;
  WakeFlag real_;
  int flag_ = 1;
  int queued_ = 0;
  int found_ = 0;
  int eventfd_ = 0;
  bool is_first_done_ = false;
};

Exploration explore(Order order, bool first_write_fails = false,
                    AfterFailure after_failure = AfterFailure::lower,
                    FirstLook first_look = FirstLook::none) {
  return explore_interleavings([=] {
    return std::make_unique<WakeModel>(order, first_write_fails, after_failure, first_look);
  });
}

Exploration explore(FirstLook first_look) {
  return explore(Order::flag_first, /*first_write_fails=*/false, AfterFailure::lower, first_look);
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

TEST(WakeFlagTest, AProducerThatPushedAndSeesItAwakeNeedDoNothing) {
  WakeFlag flag;
  EXPECT_TRUE(flag.is_awake());
  flag.allow();
  EXPECT_FALSE(flag.is_awake());
  EXPECT_TRUE(flag.set());
  EXPECT_TRUE(flag.is_awake());  // somebody has set the flag and writes
  const Exploration found = explore(FirstLook::after_push);
  EXPECT_EQ(found.violation, "") << found.trace;
  EXPECT_GT(found.states, 200u);
}

TEST(WakeFlagTest, TheExplorerFindsTheLostWakeOfLookingBeforePushing) {
  EXPECT_EQ(explore(FirstLook::before_push).violation, "it sleeps with work in the queue");
}

}  // namespace
}  // namespace epore::internal
