// Runtime::post().

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/hold.h"

namespace epore {
namespace {

using PostTest = RuntimeTest;

INSTANTIATE_TEST_SUITE_P(Everywhere, PostTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(PostTest, AClosureRunsOnceOnAThreadOfTheRuntime) {
  Runtime runtime(options());
  std::atomic<int> ran{0};
  std::thread::id where;
  absl::Notification done;
  ASSERT_TRUE(runtime
                  .post([&] {
                    ran.fetch_add(1);
                    where = std::this_thread::get_id();
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
  EXPECT_NE(where, std::this_thread::get_id());
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(ran.load(), 1);
  EXPECT_EQ(runtime.counters().posts, 1u);
}

TEST_P(PostTest, AClosureMovesInAndIsDestroyedAfterItRan) {
  Runtime runtime(options());
  auto owned = std::make_unique<absl::Notification>();
  absl::Notification ran;
  std::weak_ptr<int> watched;
  {
    auto shared = std::make_shared<int>(7);
    watched = shared;
    ASSERT_TRUE(runtime
                    .post([owned = std::move(owned), shared = std::move(shared), &ran] {
                      EXPECT_EQ(*shared, 7);
                      owned->Notify();
                      ran.Notify();
                    })
                    .ok());
  }
  ran.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(watched.expired());
}

TEST_P(PostTest, APostFromACallbackDoesNotRunInsideIt) {
  Runtime runtime(options());
  absl::Notification inner_ran;
  std::atomic<bool> is_inside{false};
  ASSERT_TRUE(runtime
                  .post([&] {
                    const std::thread::id self = std::this_thread::get_id();
                    is_inside = true;
                    EXPECT_TRUE(runtime
                                    .post([&, self] {
                                      if (std::this_thread::get_id() == self) {
                                        EXPECT_FALSE(is_inside.load());
                                      }
                                      inner_ran.Notify();
                                    })
                                    .ok());
                    is_inside = false;
                  })
                  .ok());
  inner_ran.WaitForNotification();
}

TEST_P(PostTest, F40AClosureThatPostsItselfManyTimesNeverNests) {
  constexpr int kTimes = 30'000;
  static thread_local int depth;
  int left = kTimes;
  absl::Notification done;
  std::function<void()> again;
  Runtime runtime(options());
  again = [&] {
    EXPECT_EQ(++depth, 1);
    if (--left == 0) {
      done.Notify();
    } else {
      EXPECT_TRUE(runtime.post([&] { again(); }).ok());
    }
    --depth;
  };
  ASSERT_TRUE(runtime.post([&] { again(); }).ok());
  done.WaitForNotification();
}

TEST_P(PostTest, F42AThrowingClosureIsCountedAndHarmsNobody) {
  Runtime runtime(options());
  absl::BlockingCounter others(3);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(runtime.post([] { throw std::runtime_error("on purpose"); }).ok());
    ASSERT_TRUE(runtime.post([] { throw 7; }).ok());
    ASSERT_TRUE(runtime.post([&] { others.DecrementCount(); }).ok());
  }
  others.Wait();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().callback_exceptions, 6u);
  EXPECT_EQ(runtime.counters().callbacks, 9u);
}

TEST_P(PostTest, AClosureMayPostAndUseTheRuntimeWhileItIsDestroyed) {
  Runtime runtime(options());
  absl::Notification posted_by_destructor;
  struct PostsAtItsEnd {
    Runtime& runtime;
    absl::Notification& notification;
    ~PostsAtItsEnd() {
      EXPECT_TRUE(runtime.post([&n = notification] { n.Notify(); }).ok());
    }
  };
  std::unique_ptr<PostsAtItsEnd> last_words(new PostsAtItsEnd{runtime, posted_by_destructor});
  ASSERT_TRUE(runtime.post([last_words = std::move(last_words)] {}).ok());
  posted_by_destructor.WaitForNotification();
}

TEST_P(PostTest, WhatWasAcceptedHasRunWhenShutdownReturns) {
  Runtime runtime(options());
  std::atomic<int> ran{0};
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(runtime.post([&] { ran.fetch_add(1); }).ok());
  }
  EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
  EXPECT_EQ(ran.load(), 500);
}

TEST_P(PostTest, AfterTheShutdownAClosureIsRefusedAndDestroyed) {
  Runtime runtime(options());
  EXPECT_TRUE(runtime.shutdown().ok());
  auto shared = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = shared;
  const absl::Status refused = runtime.post([shared = std::move(shared)] { ADD_FAILURE(); });
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_TRUE(watched.expired());
}

TEST_P(PostTest, F45OfPostsThatRaceTheShutdownThoseThatWereAcceptedRun) {
  for (int round = 0; round < 10; ++round) {
    std::atomic<int> ran{0};
    std::atomic<int> accepted{0};
    Runtime runtime(options());
    absl::BlockingCounter under_way(2);
    std::vector<std::thread> posters;
    for (int t = 0; t < 2; ++t) {
      posters.emplace_back([&] {
        for (int i = 0; i < 1'000'000; ++i) {
          if (!runtime.post([&] { ran.fetch_add(1); }).ok()) break;
          accepted.fetch_add(1);
          if (i == 10) under_way.DecrementCount();
        }
      });
    }
    under_way.Wait();
    EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
    const int ran_by_then = ran.load();
    for (std::thread& poster : posters) poster.join();
    EXPECT_EQ(ran_by_then, accepted.load());
    EXPECT_EQ(ran.load(), ran_by_then);
  }
}

TEST_P(PostTest, PostsOfOneThreadToOneOtherRunInOrder) {
  ClockKernel clock;  // whose watchdog never ticks and sends a second thread
  RuntimeOptions one = options();
  one.workers = 1;
  one.kernel = &clock;
  Runtime runtime(one);
  std::vector<int> ran;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(runtime.post([&ran, i] { ran.push_back(i); }).ok());
  EXPECT_TRUE(runtime.shutdown().ok());
  ASSERT_EQ(ran.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(ran[static_cast<std::size_t>(i)], i);
}

// A worker that goes to sleep keeps nothing of what it ran last.
TEST_P(PostTest, WhatACallbackCapturedIsDestroyedWithoutWaitingForMoreWork) {
  absl::Notification destroyed;
  Runtime runtime(options());
  auto captured = std::shared_ptr<int>(new int(0), [&](const int* number) {
    delete number;
    destroyed.Notify();
  });
  runtime.post_after(absl::ZeroDuration(), [captured = std::move(captured)] {});
  destroyed.WaitForNotification();
}

// What goes on posting is asked now and then to let others in, by the time that it has taken.
TEST_P(PostTest, ClosuresThatTakeLongDoNotKeepConnectionsWaiting) {
  if (GetParam().dispatch != Dispatch::poll_thread) GTEST_SKIP() << "others may serve them";
  ClockKernel clock;
  RuntimeOptions with_clock = options();
  with_clock.kernel = &clock;
  Observer observer;
  absl::Notification served;
  int before = 0;
  int ran = 0;
  observer.when_data = [&](Connection&, std::string_view) {
    before = ran;
    served.Notify();
  };
  Runtime runtime(with_clock);
  Link link = open_link(runtime, observer);
  fence(runtime);
  std::function<void()> again = [&] {
    if (++ran == 1) link.peer.send("x");
    clock.advance(absl::Milliseconds(1));
    if (!served.HasBeenNotified()) (void)runtime.post(again);
  };
  ASSERT_TRUE(runtime.post(again).ok());
  served.WaitForNotification();
  EXPECT_LE(before, 10);
}

class BurstTest : public RuntimeTest {};

INSTANTIATE_TEST_SUITE_P(Epoll, BurstTest, testing::ValuesIn(epoll_modes()), mode_name);

TEST_P(BurstTest, ABurstOfPostsWhileThePollThreadSleepsCostsOneWakeOrNone) {
  constexpr int kPosts = 100;
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  Runtime runtime(options());
  hold.await();
  absl::BlockingCounter ran(kPosts);
  for (int i = 0; i < kPosts; ++i) {
    ASSERT_TRUE(runtime.post([&] { ran.DecrementCount(); }).ok());
  }
  // Those that go to workers leave the poll thread in peace.
  const std::uint64_t expected = GetParam().dispatch == Dispatch::workers ? 0 : 1;
  EXPECT_EQ(runtime.counters().wakes, expected);
  EXPECT_EQ(kernel_.calls(KernelCall::kWrite), expected);
  hold.release();
  ran.Wait();
}

TEST(PostWithoutRuntimeTest, ARuntimeThatCouldNotBeMadeSaysSo) {
  RuntimeOptions options;
  options.reactors = -1;
  Runtime runtime(options);
  EXPECT_EQ(runtime.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(runtime.post([] { ADD_FAILURE(); }), runtime.status());
}

TEST(PostWithoutRuntimeTest, ACallbackThatThrowsWhereNoRuntimeIsHarmsNobody) {
  RuntimeOptions options;
  options.reactors = -1;
  Runtime runtime(options);
  int called = 0;
  runtime.connect("127.0.0.1:1", [&](const absl::StatusOr<Connection>& connection) {
    EXPECT_EQ(connection.status(), runtime.status());
    ++called;
    throw std::runtime_error("not connected");
  });
  EXPECT_EQ(called, 1);
  EXPECT_EQ(runtime.counters().callback_exceptions, 1u);
}

}  // namespace
}  // namespace epore
