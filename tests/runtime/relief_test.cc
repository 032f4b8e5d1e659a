// Dispatch::adaptive: what a stuck leader must not keep from others, beyond adaptive_test.cc: a
// shutdown, the lead itself; and what must not be taken for work worth sharing.

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/hold.h"
#include "tests/support/thread_name.h"

namespace epore {
namespace {

RuntimeOptions adaptive(Kernel& kernel, int workers, int spare_workers) {
  RuntimeOptions options;
  options.dispatch = Dispatch::adaptive;
  options.workers = workers;
  options.spare_workers = spare_workers;
  options.kernel = &kernel;
  return options;
}

// The listeners' closing and what was posted run before the connections are told; whoever is stuck
// there must not keep it from them.
TEST(ReliefTest, AShutdownReachesConnectionsWhileAClosureIsStuckInItsMidst) {
  FaultKernel kernel;
  absl::Notification drained;
  std::atomic<bool> is_posted{false};
  Observer observer;
  RuntimeOptions options = adaptive(kernel, 2, 16);
  options.drain_timeout = absl::InfiniteDuration();
  Runtime runtime(options);
  Link link = open_link(runtime, observer);
  link.connection.on_drain([&](Connection& c) {
    drained.Notify();
    c.abort();
  });
  fence(link.connection);
  kernel.before(KernelCall::kClose, [&](const FaultKernel::Call&) {  // of the listener
    if (is_posted.exchange(true)) return;
    EXPECT_TRUE(runtime.post([&] { drained.WaitForNotification(); }).ok());
  });
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(is_posted);
  EXPECT_TRUE(drained.HasBeenNotified());
}

// One worker and no spare. The poll thread comes back while its relief is between two callbacks,
// waits for the lead, and the relief gets stuck in the next one.
TEST(ReliefTest, APollThreadThatWaitsForItsLeadTakesItFromAReliefThatIsStuck) {
  ClockKernel kernel;  // nobody is relieved who just waits for a processor
  const auto pass_time_until = [&kernel](auto condition) {
    while (!condition()) {
      kernel.advance(absl::Milliseconds(1));
      std::this_thread::yield();
    }
  };
  absl::Notification first_in, first_out, second_in, second_out, third_in, home_waits;
  Runtime runtime(adaptive(kernel, 1, 0));
  const Listener listener = listen_on_loopback(runtime, [&](Connection& peer) {
    peer.on_data([&](Connection&, std::span<const std::byte> bytes) {
      switch (static_cast<char>(bytes.front())) {
        case '1':
          first_in.Notify();
          first_out.WaitForNotification();
          break;
        case '2':
          second_in.Notify();
          second_out.WaitForNotification();
          break;
        case '3':
          third_in.Notify();
          break;
        default:
          break;
      }
    });
  });
  Peer first(listener.address());
  Peer second(listener.address());
  Peer third(listener.address());
  for (Peer* peer : {&first, &second, &third}) peer->send("0");
  fence(runtime);

  first.send("1");
  first_in.WaitForNotification();
  Hold relief(kernel, KernelCall::kEpollWait, Hold::before);
  pass_time_until([&] { return runtime.counters().reliefs > 0; });
  relief.await();
  Hold event(kernel, KernelCall::kEpollWait, Hold::after);
  second.send("2");
  relief.release();
  event.await();  // the relief has it in its hands
  kernel.before(KernelCall::kPark, [&](const FaultKernel::Call&) {
    if (thread_name() == "epore-poll0" && !home_waits.HasBeenNotified()) home_waits.Notify();
  });
  first_out.Notify();
  home_waits.WaitForNotification();
  event.release();
  second_in.WaitForNotification();
  third.send("3");
  pass_time_until([&] { return third_in.HasBeenNotified(); });
  second_out.Notify();
  kernel.before(KernelCall::kPark, nullptr);
}

// The first turn begins before there is a time of a turn.
TEST(ReliefTest, WhatRunsInTheFirstTurnIsNotTakenForExpensive) {
  ClockKernel kernel;
  kernel.set_processors(2);
  kernel.advance(absl::Hours(24));
  absl::Notification begin;
  kernel.before(KernelCall::kThreadId, [&](const FaultKernel::Call&) {
    if (thread_name() == "epore-poll0") begin.WaitForNotification();
  });
  Runtime runtime(adaptive(kernel, 2, 0));
  absl::Notification one, two;
  ASSERT_TRUE(runtime.post([&] { one.Notify(); }).ok());
  ASSERT_TRUE(runtime.post([&] { two.Notify(); }).ok());
  begin.Notify();
  one.WaitForNotification();
  two.WaitForNotification();
  for (int i = 0; i < 10; ++i) fence(runtime);
  EXPECT_EQ(runtime.counters().shared, 0u);
}

// One turn that took long, perhaps because its thread had to wait for a processor, is forgotten.
TEST(ReliefTest, ATurnThatTookLongDoesNotMakeEveryLaterOneWorthSharing) {
  ClockKernel kernel;
  kernel.set_processors(2);
  Runtime runtime(adaptive(kernel, 2, 0));
  fence(runtime);
  for (int i = 0; i < 2; ++i) {  // two in one turn
    ASSERT_TRUE(runtime.post([&] { kernel.advance(absl::Seconds(1)); }).ok());
  }
  for (int i = 0; i < 200; ++i) fence(runtime);
  const std::uint64_t shared = runtime.counters().shared;
  for (int i = 0; i < 50; ++i) fence(runtime);
  EXPECT_EQ(runtime.counters().shared, shared);
}

// Nor is the rest of that turn: what its first runs took says nothing about those that follow.
TEST(ReliefTest, ARunThatTookLongDoesNotMakeTheRestOfItsTurnWorthSharing) {
  ClockKernel kernel;
  kernel.set_processors(2);
  Runtime runtime(adaptive(kernel, 2, 0));
  fence(runtime);
  absl::Notification begun, posted, done;
  ASSERT_TRUE(runtime
                  .post([&] {
                    begun.Notify();
                    posted.WaitForNotification();
                  })
                  .ok());
  begun.WaitForNotification();
  ASSERT_TRUE(runtime.post([&] { kernel.advance(absl::Seconds(1)); }).ok());
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(runtime.post([] {}).ok());
  ASSERT_TRUE(runtime.post([&] { done.Notify(); }).ok());
  posted.Notify();
  done.WaitForNotification();
  EXPECT_EQ(runtime.counters().shared, 0u);
}

}  // namespace
}  // namespace epore
