// Dispatch::adaptive: what happens when a callback is slow, blocks, or is one of many.

#include <pthread.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/log/log_sink.h"
#include "absl/log/log_sink_registry.h"
#include "absl/strings/match.h"
#include "absl/synchronization/barrier.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "runtime/runtime.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"

namespace epore {
namespace {

// Connections that echo, but for those that were sent an "S": they are stuck until release().
class AdaptiveTest : public testing::Test {
 protected:
  RuntimeOptions options(int workers = 2, int spare_workers = 16) {
    RuntimeOptions options;
    options.dispatch = Dispatch::adaptive;
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

  // The thread of an echo.
  std::thread::id ping(Peer& peer) {
    peer.send("p");
    EXPECT_EQ(peer.receive(1), "p");
    absl::MutexLock lock(&mutex_);
    return ran_on_;
  }

  const ExpectNoFdLeak no_leak_;
  FaultKernel kernel_;
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
  for (int i = 0; i < 100; ++i) EXPECT_NE(ping(other), poll_thread);
  EXPECT_GE(runtime.counters().reliefs, 1u);
  // New connections, closures and timers, too.
  Peer newcomer(listener.address());
  EXPECT_NE(ping(newcomer), poll_thread);
  absl::Notification fired;
  Timer timer = runtime.post_after(absl::Milliseconds(1), [&] { fired.Notify(); });
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
  other.send("q");
  EXPECT_EQ(other.receive(1), "q");  // a relief leads now
  go_on.Notify();
  closed.Wait();
  (void)one.end();
  (void)other.end();
}

TEST_F(AdaptiveTest, HandlersThatBlockAreMadeUpForBySpareWorkers) {
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
  await_stuck(kStuck);
  (void)ping(other);
  release();
  for (Peer& peer : stuck) EXPECT_EQ(peer.receive(1), "S");
  (void)ping(other);
}

TEST_F(AdaptiveTest, SpareWorkersAreBoundedAndTheRestWaits) {
  Runtime runtime(options(/*workers=*/1, /*spare_workers=*/2));
  const Listener listener = listen(runtime);
  std::vector<Peer> peers;
  // The poll thread, its worker and two spares are stuck; the fifth has nobody.
  for (int i = 0; i < 4; ++i) {
    peers.emplace_back(listener.address());
    peers.back().send("S");
    await_stuck(i + 1);
  }
  peers.emplace_back(listener.address());
  peers.back().send("p");
  // A poll thread, the watchdog, a resolver if any, and workers: no more than three of these.
  EXPECT_LE(kernel_.calls(KernelCall::kThreadStart), 5u);
  release();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(peers[static_cast<std::size_t>(i)].receive(1), "S");
  EXPECT_EQ(peers.back().receive(1), "p");
  EXPECT_LE(kernel_.calls(KernelCall::kThreadStart), 5u);
}

// The relief has the lead, but no reference yet to what ran under it, when that ends.
TEST_F(AdaptiveTest, ACallbackThatEndsAsItsLeadIsTakenWaitsUntilItIsKept) {
  const auto is_thread = [](std::string_view begin) {
    char name[16] = {};
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    return absl::StartsWith(name, begin);
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
    came_back.WaitForNotification();
    EXPECT_TRUE(has_waited);
  }
  kernel_.before(KernelCall::kPark, nullptr);
  kernel_.before(KernelCall::kClock, nullptr);
}

TEST_F(AdaptiveTest, AShutdownWaitsForWhatIsStuck) {
  Runtime runtime(options());
  const Listener listener = listen(runtime);
  Peer stuck(listener.address());
  Peer other(listener.address());
  stuck.send("S");
  await_stuck(1);
  (void)ping(other);  // a relief leads
  std::thread stopping([&] { EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok()); });
  (void)other.end();
  release();
  stopping.join();
}

class Lines : public absl::LogSink {
 public:
  Lines() { absl::AddLogSink(this); }
  ~Lines() override { absl::RemoveLogSink(this); }
  void Send(const absl::LogEntry& entry) override {
    absl::MutexLock lock(&mutex_);
    text_ += std::string(entry.text_message()) + "\n";
  }
  void await(const std::string& part) {
    absl::MutexLock lock(&mutex_);
    const auto is_there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return text_.find(part) != std::string::npos;
    };
    mutex_.Await(absl::Condition(&is_there));
  }

 private:
  absl::Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(AdaptiveTest, WhoBlocksIsNamedInTheLogWhileItDoesAndAfterwards) {
  Lines lines;
  Runtime runtime(options());
  const Listener listener = listen(runtime);
  Peer stuck(listener.address());
  stuck.send("S");
  await_stuck(1);
  lines.await(" is holding epore-poll0, for ");
  release();
  lines.await(" has held epore-poll0 for ");
  lines.await("connection ");
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
  others_ran.WaitForNotification();  // though all eight are stuck
  go_on.Notify();
  done.Wait();
}

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
    absl::BlockingCounter ran(kClosures);
    absl::Notification go;
    // All in one turn: they wait until the last one was posted.
    ASSERT_TRUE(runtime.post([&] { go.WaitForNotification(); }).ok());
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
