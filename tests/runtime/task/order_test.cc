// Where and when coroutines resume: in their own order, one at a time, and never inside the call
// that has completed what they wait for.

#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/internal/task/operation.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

class Ring;

// Completes what waits for it, one operation at a time. Any thread.
class Bell {
 public:
  Ring wait();
  void ring();

 private:
  friend class Ring;

  absl::Mutex mutex_;
  Ring* waiting_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool has_rung_ ABSL_GUARDED_BY(mutex_) = false;
};

class Ring final : public internal::Operation, public internal::WithResult<Ring> {
 public:
  using Value = void;

  explicit Ring(Bell& bell) : bell_(bell) {}
  Ring(Ring&&) = default;

  bool begin(internal::TaskNode& node) {
    if (const absl::Status* stop = internal::find_stop(node.scope); stop != nullptr) {
      node.status = *stop;
      return true;
    }
    const absl::MutexLock lock(&bell_.mutex_);
    if (std::exchange(bell_.has_rung_, false)) return true;
    wait(node);
    bell_.waiting_ = this;
    return false;
  }
  void finish(internal::TaskNode&) {}
  void take() {}

 private:
  friend class Bell;

  void cancel(const absl::Status& why) override {
    {
      const absl::MutexLock lock(&bell_.mutex_);
      if (bell_.waiting_ != this) return;
      bell_.waiting_ = nullptr;
    }
    complete(why);
  }
  const char* name() const override { return "Bell::wait"; }

  Bell& bell_;
};

Ring Bell::wait() { return Ring(*this); }

void Bell::ring() {
  Ring* rung = nullptr;
  {
    const absl::MutexLock lock(&mutex_);
    rung = std::exchange(waiting_, nullptr);
    if (rung == nullptr) has_rung_ = true;
  }
  if (rung != nullptr) rung->complete(absl::OkStatus());
}

// Counts entries, and sees two at once.
class Single {
 public:
  void enter() {
    EXPECT_EQ(inside_.fetch_add(1), 0);
    ++entries_;  // not atomic: one at a time
  }
  void leave() { inside_.fetch_sub(1); }
  int entries() const { return entries_; }

 private:
  std::atomic<int> inside_{0};
  int entries_ = 0;
};

TEST(TaskOrder, SpawnInRefusesAHandleThatNamesNone) {
  Runtime runtime;
  bool was_called = false;
  const absl::Status got = runtime
                               .spawn_in(Order(),
                                         [&]() -> Task<> {
                                           was_called = true;
                                           co_return;
                                         })
                               .wait();
  EXPECT_EQ(got, absl::FailedPreconditionError("spawn_in: this handle names no order"));
  EXPECT_FALSE(was_called);
}

TEST(TaskOrder, TasksAndClosuresOfAnOrderNeverOverlap) {
  for (const int reactors : {1, 2}) {
    Single single;
    Runtime runtime({.reactors = reactors, .workers = 2});
    const Order order = runtime.order();
    std::vector<Job> jobs;
    for (int i = 0; i < 4; ++i) {
      jobs.push_back(runtime.spawn_in(order, [&single]() -> Task<> {
        for (int n = 0; n < 300; ++n) {
          single.enter();
          single.leave();
          co_await yield();
          if (n % 100 == 0) co_await sleep_for(absl::Nanoseconds(1));
        }
      }));
    }
    for (int n = 0; n < 300; ++n) {
      ASSERT_TRUE(order
                      .post([&single] {
                        single.enter();
                        single.leave();
                      })
                      .ok());
    }
    for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok());
    absl::Notification behind;
    ASSERT_TRUE(order.post([&] { behind.Notify(); }).ok());
    behind.WaitForNotification();
    EXPECT_EQ(single.entries(), 5 * 300);
  }
}

TEST(TaskOrder, ResumesInItsOwnOrderWhoeverCompletes) {
  Runtime runtime({.workers = 2});
  const Order mine = runtime.order();
  const Order other = runtime.order();
  Single single;
  Bell there;
  Bell back;
  constexpr int kRounds = 500;
  const Job waiter = runtime.spawn_in(mine, [&]() -> Task<> {
    for (int i = 0; i < kRounds; ++i) {
      co_await there.wait();
      single.enter();
      single.leave();
      back.ring();
    }
  });
  const Job noise = runtime.spawn_in(mine, [&]() -> Task<> {
    for (;;) {
      single.enter();
      single.leave();
      co_await yield();
    }
  });
  const Job ringer = runtime.spawn_in(other, [&]() -> Task<> {
    for (int i = 0; i < kRounds; ++i) {
      there.ring();
      co_await back.wait();
    }
  });
  EXPECT_TRUE(waiter.wait().ok());
  EXPECT_TRUE(ringer.wait().ok());
  noise.stop();
  EXPECT_TRUE(absl::IsCancelled(noise.wait()));
}

TEST(TaskOrder, NeverInsideTheCallThatCompletes) {
  Runtime runtime;
  const Order order = runtime.order();
  Bell bell;
  Bell waits;
  bool has_resumed = false;
  const Job job = runtime.spawn_in(order, [&]() -> Task<> {
    for (int i = 0; i < 2; ++i) {
      waits.ring();
      co_await bell.wait();
      has_resumed = true;
    }
  });
  // By another task of the order.
  EXPECT_TRUE(runtime
                  .spawn_in(order,
                            [&]() -> Task<> {
                              co_await waits.wait();
                              co_await yield();
                              bell.ring();
                              EXPECT_FALSE(has_resumed);
                              while (!has_resumed) co_await yield();
                              has_resumed = false;
                              co_await waits.wait();
                            })
                  .wait()
                  .ok());
  // By a closure of the order.
  absl::Notification rung;
  ASSERT_TRUE(order
                  .post([&] {
                    bell.ring();
                    EXPECT_FALSE(has_resumed);
                    rung.Notify();
                  })
                  .ok());
  rung.WaitForNotification();
  EXPECT_TRUE(job.wait().ok());
}

TEST(TaskOrder, CompletionsRaceWithStops) {
  Runtime runtime({.workers = 2});
  for (int round = 0; round < 300; ++round) {
    Bell bell;
    int value = 0;
    const Job job = runtime.spawn([&]() -> Task<> {
      co_await bell.wait();
      value = 1;
    });
    std::thread ringer([&] { bell.ring(); });
    job.stop();
    const absl::Status status = job.wait();
    ringer.join();
    EXPECT_EQ(value, status.ok() ? 1 : 0) << status;
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
  }
}

// The chain of the one that completes ends in the run of the other root, which goes on.
TEST(TaskOrder, ARootEndsInTheRunOfAnother) {
  for (int round = 0; round < 50; ++round) {
    Runtime runtime;
    const Order order = runtime.order();
    Bell bell;
    Bell waits;
    (void)runtime.spawn_in(order, [&]() -> Task<> {
      waits.ring();
      co_await within(absl::Hours(1), bell.wait());
    });
    EXPECT_TRUE(runtime
                    .spawn_in(order,
                              [&]() -> Task<> {
                                co_await waits.wait();
                                bell.ring();
                                co_await yield();
                              })
                    .wait()
                    .ok());
  }
}

// A task that is ready all the time does not keep the others of its order from running.
TEST(TaskOrder, ALoopThatNeverSuspendsLetsOthersRun) {
  Runtime runtime({.dispatch = Dispatch::poll_thread});
  const Order order = runtime.order();
  const Job loop = runtime.spawn_in(order, []() -> Task<> {
    for (;;) co_await []() -> Task<> { co_return; }();
  });
  const Job other = runtime.spawn([]() -> Task<> {
    for (int i = 0; i < 10; ++i) co_await yield();
  });
  const Job same = runtime.spawn_in(order, []() -> Task<> {
    for (int i = 0; i < 10; ++i) co_await sleep_for(absl::Microseconds(1));
  });
  EXPECT_TRUE(other.wait().ok());
  EXPECT_TRUE(same.wait().ok());
  EXPECT_EQ(loop.status(), std::nullopt);
  loop.stop();
  EXPECT_TRUE(absl::IsCancelled(loop.wait()));
}

}  // namespace
}  // namespace epore
