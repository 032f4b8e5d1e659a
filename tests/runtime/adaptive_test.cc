// Dispatch::adaptive: what happens when a callback is slow, blocks, or is one of many. Who is named
// in the log, and what happens when nothing does, is in watchdog_test.cc.

#include <poll.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/barrier.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/thread_name.h"

namespace epore {
namespace {

// Connections that echo, but for those that were sent an "S": they are stuck until release(). Time
// passes only where a test says so, so that nobody is stuck who just waits for a processor.
class AdaptiveTest : public testing::Test {
 protected:
  RuntimeOptions options(int workers = 2, int spare_workers = 16) {
    RuntimeOptions options;
    options.dispatch = dispatch_;
    options.workers = workers;
    options.spare_workers = spare_workers;
    options.kernel = &kernel_;
    return options;
  }

  Listener listen(Runtime& runtime) {
    return listen_on_loopback(runtime, [this](Connection& c) {
      c.on_data([this](Connection& c, std::span<const std::byte> bytes) {
        {
          absl::MutexLock lock(&mutex_);
          ran_on_ = std::this_thread::get_id();
          if (static_cast<char>(bytes.front()) == 'S') {
            ++stuck_;
            mutex_.Await(absl::Condition(&is_released_));
            --stuck_;
          }
        }
        c.send(bytes);
      });
    });
  }

  void await_stuck(int count) {
    absl::MutexLock lock(&mutex_);
    const auto is_so = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stuck_ == count; };
    mutex_.Await(absl::Condition(&is_so));
  }

  void release() {
    absl::MutexLock lock(&mutex_);
    is_released_ = true;
  }

  template <typename Condition>
  void pass_time_until(Condition condition) {
    while (!condition()) {
      kernel_.advance(absl::Milliseconds(1));
      std::this_thread::yield();
    }
  }
  void pass_time_until_stuck(int count) {
    pass_time_until([&] {
      absl::MutexLock lock(&mutex_);
      return stuck_ == count;
    });
  }
  void pass_time_until_relieved(Runtime& runtime) {
    pass_time_until([&] { return runtime.counters().reliefs > 0; });
  }

  // An echo that somebody may have to be found for.
  void ping_as_time_passes(Peer& peer) {
    peer.send("p");
    pass_time_until([&] {
      pollfd answer = {peer.fd(), POLLIN, 0};
      return ::poll(&answer, 1, 0) == 1;
    });
    EXPECT_EQ(peer.receive(1), "p");
  }

  // The thread of an echo.
  std::thread::id ping(Peer& peer) {
    peer.send("p");
    EXPECT_EQ(peer.receive(1), "p");
    absl::MutexLock lock(&mutex_);
    return ran_on_;
  }

  explicit AdaptiveTest(Dispatch dispatch = Dispatch::adaptive) : dispatch_(dispatch) {}

  const ExpectNoFdLeak no_leak_;
  const Dispatch dispatch_;
  ClockKernel kernel_;
  absl::Mutex mutex_;
  bool is_released_ ABSL_GUARDED_BY(mutex_) = false;
  int stuck_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread::id ran_on_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(AdaptiveTest, CallbacksRunOnThePollThreadAsLongAsNoneIsSlow) {
  Runtime runtime(options());
  const Listener listener = listen(runtime);
  Peer one(listener.address());
  Peer other(listener.address());
  const std::thread::id poll_thread = ping(one);
  EXPECT_EQ(ping(other), poll_thread);
  EXPECT_EQ(ping(one), poll_thread);
  EXPECT_EQ(runtime.counters().reliefs, 0u);
}

TEST_F(AdaptiveTest, AStuckCallbackStopsNobodyElse) {
  Runtime runtime(options());
  const Listener listener = listen(runtime);
  Peer stuck(listener.address());
  Peer other(listener.address());
  (void)ping(stuck);
  const std::thread::id poll_thread = ping(other);
  stuck.send("S");
  await_stuck(1);
  pass_time_until_relieved(runtime);
  for (int i = 0; i < 100; ++i) EXPECT_NE(ping(other), poll_thread);
  EXPECT_GE(runtime.counters().reliefs, 1u);
  // New connections, closures and timers, too.
  Peer newcomer(listener.address());
  EXPECT_NE(ping(newcomer), poll_thread);
  absl::Notification fired;
  Timer timer = runtime.post_after(absl::Milliseconds(1), [&] { fired.Notify(); });
  kernel_.advance(absl::Milliseconds(1));
  fired.WaitForNotification();
  release();
  EXPECT_EQ(stuck.receive(1), "S");
}

TEST_F(AdaptiveTest, ThePollThreadComesBack) {
  Runtime runtime(options());
  const Listener listener = listen(runtime);
  Peer stuck(listener.address());
  Peer other(listener.address());
  const std::thread::id poll_thread = ping(other);
  stuck.send("S");
  await_stuck(1);
  pass_time_until_relieved(runtime);
  EXPECT_NE(ping(other), poll_thread);
  release();
  EXPECT_EQ(stuck.receive(1), "S");
  while (ping(other) != poll_thread) {
  }
}

TEST_F(AdaptiveTest, WhatWasSlowRunsElsewhereUntilItIsFastAgain) {
  Runtime runtime(options());
  const Listener listener = listen(runtime);
  Peer stuck(listener.address());
  Peer other(listener.address());
  const std::thread::id poll_thread = ping(other);
  stuck.send("S");
  await_stuck(1);
  pass_time_until_relieved(runtime);
  EXPECT_NE(ping(other), poll_thread);
  release();
  EXPECT_EQ(stuck.receive(1), "S");
  EXPECT_NE(ping(stuck), poll_thread);
  while (ping(stuck) != poll_thread) {
  }
}

TEST_F(AdaptiveTest, ARelievedCallbackMayCloseItsConnectionAndThoseOfOthers) {
  Connection other_end;
  absl::Notification stuck;
  absl::Notification go_on;
  absl::BlockingCounter closed(2);
  absl::Mutex mutex;
  std::vector<Connection> all;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) {
    c.on_closed([&](Connection&, const absl::Status&) { closed.DecrementCount(); });
    c.on_data([&](Connection& c, std::span<const std::byte> bytes) {
      if (static_cast<char>(bytes.front()) == 'S') {
        stuck.Notify();
        go_on.WaitForNotification();
        absl::MutexLock lock(&mutex);
        for (Connection& one : all) one.abort();
        all.clear();
      } else {
        c.send(bytes);
      }
    });
    absl::MutexLock lock(&mutex);
    all.push_back(c);
  });
  Peer one(listener.address());
  Peer other(listener.address());
  other.send("p");
  EXPECT_EQ(other.receive(1), "p");
  one.send("p");
  EXPECT_EQ(one.receive(1), "p");
  one.send("S");
  stuck.WaitForNotification();
  pass_time_until_relieved(runtime);
  other.send("q");
  EXPECT_EQ(other.receive(1), "q");  // a relief leads now
  go_on.Notify();
  closed.Wait();
  (void)one.end();
  (void)other.end();
}

// The relief has the lead, but no reference yet to what ran under it, when that ends.
TEST_F(AdaptiveTest, ACallbackThatEndsAsItsLeadIsTakenWaitsUntilItIsKept) {
  const auto is_thread = [](std::string_view begin) {
    return absl::StartsWith(thread_name(), begin);
  };
  absl::Notification go_on;
  absl::Notification came_back;
  std::atomic<bool> has_taken{false};
  std::atomic<bool> is_between{false};
  std::atomic<bool> has_waited{false};
  const auto poll_thread_calls = [&](bool waits) {
    if (!is_thread("epore-poll") || !is_between.exchange(false)) return;
    has_waited = waits;
    came_back.Notify();
  };
  kernel_.before(KernelCall::kPark, [&](const FaultKernel::Call&) { poll_thread_calls(true); });
  kernel_.before(KernelCall::kClock, [&](const FaultKernel::Call&) {
    // A worker with nothing else to do asks for the time when it has taken the lead over.
    if (!is_thread("epore-worker") || has_taken.exchange(true)) return poll_thread_calls(false);
    is_between = true;
    go_on.Notify();
    came_back.WaitForNotification();
  });
  {
    Runtime runtime(options());
    ASSERT_TRUE(runtime.post([&] { go_on.WaitForNotification(); }).ok());
    pass_time_until([&] { return came_back.HasBeenNotified(); });
    EXPECT_TRUE(has_waited);
  }
  kernel_.before(KernelCall::kPark, nullptr);
  kernel_.before(KernelCall::kClock, nullptr);
}

TEST_F(AdaptiveTest, ClosuresThatBlockGoToWorkersFromThenOn) {
  Runtime runtime(options());
  absl::Notification go_on;
  absl::Notification others_ran;
  absl::BlockingCounter done(9);
  const auto blocks = [&] {
    go_on.WaitForNotification();
    done.DecrementCount();
  };
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(runtime.post(blocks).ok());
  ASSERT_TRUE(runtime
                  .post([&] {
                    others_ran.Notify();
                    done.DecrementCount();
                  })
                  .ok());
  // Though all eight are stuck.
  pass_time_until([&] { return others_ran.HasBeenNotified(); });
  go_on.Notify();
  done.Wait();
}

TEST_F(AdaptiveTest, AClosureThatIsStuckKeepsWhatItCapturedWhileOthersRunInItsReactor) {
  Runtime runtime(options());
  absl::Notification go_on, other_ran, destroyed;
  std::shared_ptr<void> captured(nullptr, [&](void*) {
    EXPECT_TRUE(go_on.HasBeenNotified());
    destroyed.Notify();
  });
  ASSERT_TRUE(
      runtime.post([&, captured = std::move(captured)] { go_on.WaitForNotification(); }).ok());
  ASSERT_TRUE(runtime.post([&] { other_ran.Notify(); }).ok());
  pass_time_until([&] { return other_ran.HasBeenNotified(); });
  go_on.Notify();
  destroyed.WaitForNotification();
}

// A relief finds it due while it still runs.
TEST_F(AdaptiveTest, ATimerThatIsStuckAndDueAgainRunsOnceMoreAfterwards) {
  std::atomic<int> runs{0};
  std::atomic<int> at_once{0};
  absl::Notification go_on, ran_again;
  absl::Notification other_ran;
  Runtime runtime(options());
  Timer timer = runtime.timer([&] {
    EXPECT_EQ(at_once.fetch_add(1), 0);
    const int run = runs.fetch_add(1);
    if (run == 0) go_on.WaitForNotification();
    at_once.fetch_sub(1);
    if (run == 1) ran_again.Notify();
  });
  timer.arm_every(absl::Milliseconds(1));
  pass_time_until([&] { return runs.load() == 1; });
  pass_time_until_relieved(runtime);
  Timer other = runtime.post_after(absl::Milliseconds(5), [&] { other_ran.Notify(); });
  pass_time_until([&] { return other_ran.HasBeenNotified(); });  // so the periods before have ended
  EXPECT_EQ(runs.load(), 1);
  go_on.Notify();
  pass_time_until([&] { return ran_again.HasBeenNotified(); });
}

TEST_F(AdaptiveTest, TimersThatAreDueTogetherRunEarliestFirstWhosesoeverTheyAre) {
  absl::Mutex mutex;
  std::string order;
  absl::Notification done;
  std::vector<Timer> timers;
  Runtime runtime(options());
  const auto add = [&](char c) {
    absl::MutexLock lock(&mutex);
    order += c;
    if (order.size() == 3) done.Notify();
  };
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) {
    // All in one turn, as this one lasts until they are due.
    timers.push_back(runtime.post_after(absl::Milliseconds(3), [&] { add('3'); }));
    timers.push_back(c.timer([&](Connection&) { add('2'); }));
    timers.back().arm(absl::Milliseconds(2));
    timers.push_back(runtime.post_after(absl::Milliseconds(1), [&] { add('1'); }));
    kernel_.advance(absl::Milliseconds(3));
  });
  Peer peer(listener.address());
  done.WaitForNotification();
  absl::MutexLock lock(&mutex);
  EXPECT_EQ(order, "123");
}

// What holds for Dispatch::workers as well: there it is workers that are stuck.
class SpareWorkersTest : public AdaptiveTest, public testing::WithParamInterface<Dispatch> {
 protected:
  SpareWorkersTest() : AdaptiveTest(GetParam()) {}
};

TEST_P(SpareWorkersTest, HandlersThatBlockAreMadeUpForBySpareWorkers) {
  constexpr int kStuck = 6;
  Runtime runtime(options(/*workers=*/2));
  const Listener listener = listen(runtime);
  Peer other(listener.address());
  (void)ping(other);
  std::vector<Peer> stuck;
  for (int i = 0; i < kStuck; ++i) {
    stuck.emplace_back(listener.address());
    stuck.back().send("S");
  }
  pass_time_until_stuck(kStuck);
  ping_as_time_passes(other);
  // New connections, closures and timers, too.
  Peer newcomer(listener.address());
  ping_as_time_passes(newcomer);
  absl::Notification ran;
  ASSERT_TRUE(runtime.post([&] { ran.Notify(); }).ok());
  pass_time_until([&] { return ran.HasBeenNotified(); });
  absl::Notification fired;
  Timer timer = runtime.post_after(absl::Milliseconds(1), [&] { fired.Notify(); });
  pass_time_until([&] { return fired.HasBeenNotified(); });
  release();
  for (Peer& peer : stuck) EXPECT_EQ(peer.receive(1), "S");
  (void)ping(other);
}

TEST_P(SpareWorkersTest, TheyAreBoundedAndTheRestWaits) {
  Runtime runtime(options(/*workers=*/1, /*spare_workers=*/2));
  const Listener listener = listen(runtime);
  std::vector<Peer> peers;
  // The worker, two spares, and where it runs callbacks the poll thread are stuck; the next one has
  // nobody.
  const int can_be_stuck = GetParam() == Dispatch::adaptive ? 4 : 3;
  for (int i = 0; i < can_be_stuck; ++i) {
    peers.emplace_back(listener.address());
    peers.back().send("S");
    pass_time_until_stuck(i + 1);
  }
  peers.emplace_back(listener.address());
  peers.back().send("p");
  // A poll thread, the watchdog, and workers: no more than three of these.
  EXPECT_LE(kernel_.calls(KernelCall::kThreadStart), 5u);
  release();
  for (int i = 0; i < can_be_stuck; ++i) {
    EXPECT_EQ(peers[static_cast<std::size_t>(i)].receive(1), "S");
  }
  EXPECT_EQ(peers.back().receive(1), "p");
  EXPECT_LE(kernel_.calls(KernelCall::kThreadStart), 5u);
}

TEST_P(SpareWorkersTest, AShutdownWaitsForWhatIsStuck) {
  Runtime runtime(options());
  const Listener listener = listen(runtime);
  Peer stuck(listener.address());
  Peer other(listener.address());
  stuck.send("S");
  await_stuck(1);
  ping_as_time_passes(other);  // by a relief, or another worker
  std::thread stopping([&] { EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok()); });
  (void)other.end();
  release();
  stopping.join();
}

INSTANTIATE_TEST_SUITE_P(Dispatch, SpareWorkersTest,
                         testing::Values(Dispatch::adaptive, Dispatch::workers),
                         [](const testing::TestParamInfo<Dispatch>& info) {
                           return std::string(dispatch_name(info.param));
                         });

// Every closure takes 100 us of the manual clock, so that it is exact what a turn is worth.
TEST(SharingTest, MoreWorkThanAWakeCostsIsShared) {
  constexpr int kClosures = 64;
  ClockKernel kernel;
  kernel.set_processors(2);
  RuntimeOptions options;
  options.workers = 2;
  options.kernel = &kernel;
  Runtime runtime(options);
  for (int round = 0; round < 2; ++round) {
    absl::BlockingCounter ran(1 + kClosures);
    absl::Notification go;
    // All in one turn: they wait until the last one was posted.
    ASSERT_TRUE(runtime
                    .post([&] {
                      go.WaitForNotification();
                      ran.DecrementCount();
                    })
                    .ok());
    for (int i = 0; i < kClosures; ++i) {
      ASSERT_TRUE(runtime
                      .post([&] {
                        kernel.advance(absl::Microseconds(100));
                        ran.DecrementCount();
                      })
                      .ok());
    }
    go.Notify();
    ran.Wait();
  }
  EXPECT_GT(runtime.counters().shared, 0u);
}

TEST(SharingTest, TimersThatAreDueTogetherAreShared) {
  constexpr int kTimers = 300;  // more than run between two looks at what was submitted
  absl::BlockingCounter ran(kTimers);
  ClockKernel kernel;
  kernel.set_processors(2);
  RuntimeOptions options;
  options.workers = 2;
  options.kernel = &kernel;
  std::vector<Timer> timers;
  Runtime runtime(options);
  absl::Notification armed;
  ASSERT_TRUE(runtime
                  .post([&] {
                    for (int i = 0; i < kTimers; ++i) {
                      timers.push_back(runtime.post_after(absl::Milliseconds(1), [&] {
                        kernel.advance(absl::Microseconds(100));
                        ran.DecrementCount();
                      }));
                    }
                    armed.Notify();
                  })
                  .ok());
  armed.WaitForNotification();
  kernel.advance(absl::Milliseconds(1));
  ran.Wait();
  EXPECT_GT(runtime.counters().shared, 0u);
}

// All connections are ready in one turn, and each callback takes 100 us of the manual clock.
TEST(SharingTest, ConnectionsThatAreReadyTogetherAreSharedAndEachKeepsItsOrder) {
  constexpr int kConnections = 64;
  const std::string rounds = "0123";
  ClockKernel kernel;
  kernel.set_processors(2);
  RuntimeOptions options;
  options.workers = 2;
  options.kernel = &kernel;
  absl::Mutex mutex;
  std::vector<std::unique_ptr<Observer>> observers;
  Runtime runtime(options);
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) {
    absl::MutexLock lock(&mutex);
    observers.push_back(std::make_unique<Observer>());
    observers.back()->when_data = [&](Connection& c, std::string_view bytes) {
      kernel.advance(absl::Microseconds(100));
      c.send(bytes);
    };
    observers.back()->watch(c);
  });
  std::vector<Peer> peers;
  for (int i = 0; i < kConnections; ++i) peers.emplace_back(listener.address());
  const auto all_are_there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex) {
    return observers.size() == kConnections;
  };
  {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&all_are_there));
  }
  for (char round : rounds) {
    absl::Notification holds;
    absl::Notification go;
    absl::Notification is_over;
    ASSERT_TRUE(runtime
                    .post([&] {
                      holds.Notify();
                      go.WaitForNotification();
                      is_over.Notify();
                    })
                    .ok());
    holds.WaitForNotification();
    for (Peer& peer : peers) peer.send(std::string(1, round));
    go.Notify();
    for (Peer& peer : peers) EXPECT_EQ(peer.receive(1), std::string(1, round));
    is_over.WaitForNotification();
  }
  EXPECT_GE(runtime.counters().shared, 0u + kConnections / 2);
  for (Peer& peer : peers) peer.close();
  for (const std::unique_ptr<Observer>& observer : observers) {
    EXPECT_TRUE(observer->await_closed().ok());
    EXPECT_EQ(observer->bytes(), rounds);
  }
}

TEST(SharingTest, OnOneProcessorNothingIsShared) {
  ClockKernel kernel;
  kernel.set_processors(1);
  RuntimeOptions options;
  options.workers = 4;
  options.kernel = &kernel;
  Runtime runtime(options);
  absl::BlockingCounter ran(64);
  for (int i = 0; i < 64; ++i) {
    ASSERT_TRUE(runtime
                    .post([&] {
                      kernel.advance(absl::Microseconds(100));
                      ran.DecrementCount();
                    })
                    .ok());
  }
  ran.Wait();
  EXPECT_EQ(runtime.counters().shared, 0u);
}

}  // namespace
}  // namespace epore
