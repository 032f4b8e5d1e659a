// Dispatch::caller: the loop runs on threads of the program. The other suites run it on a thread of
// their own (DrivenRuntime); here the test is that thread.

#include <poll.h>
#include <signal.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"

namespace epore {
namespace {

class CallerTest : public RuntimeTest {
 protected:
  bool has_fd() const { return GetParam().selector == "epoll"; }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, CallerTest,
                         testing::Values(Mode{Dispatch::caller, "epoll"},
                                         Mode{Dispatch::caller, "poll"}),
                         mode_name);

bool is_readable(int fd) {
  pollfd one = {fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

// Runs turns while the descriptor is readable.
void settle(Runtime& runtime, int fd) {
  while (is_readable(fd)) ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
}

Task<> echo(Connection peer) {
  while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

Task<std::string> ask(std::string address) {
  Connection peer = co_await connect(address);
  co_await peer.write("hello");
  ByteView answer = co_await peer.read_exactly(5);
  co_return std::string(answer.text());
}

TEST_P(CallerTest, NothingRunsOutsideOfTheCalls) {
  Runtime runtime(options());
  std::thread::id ran_on;
  ASSERT_TRUE(runtime.post([&] { ran_on = std::this_thread::get_id(); }).ok());
  EXPECT_EQ(ran_on, std::thread::id());
  EXPECT_EQ(runtime.poll_timeout(), absl::ZeroDuration());
  ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  EXPECT_EQ(ran_on, std::this_thread::get_id());
  EXPECT_EQ(runtime.poll_timeout(), absl::InfiniteDuration());
}

TEST_P(CallerTest, ItStartsNoThread) {
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(runtime.run(ask, listener->address().to_string()).value_or(""), "hello");
  ASSERT_TRUE(runtime.shutdown().ok());
  for (const auto& [call, count] : runtime.counters().system_calls) {
    EXPECT_NE(call, "thread_start");
  }
  EXPECT_EQ(system_.counts()[static_cast<std::size_t>(KernelCall::kThreadStart)], 0u);
}

TEST_P(CallerTest, APostOfAnotherThreadEndsTheWait) {
  Runtime runtime(options());
  bool has_run = false;
  std::thread other([&] { EXPECT_TRUE(runtime.post([&] { has_run = true; }).ok()); });
  EXPECT_TRUE(runtime.run_until([&] { return has_run; }).ok());
  other.join();
}

TEST_P(CallerTest, APostOfAnotherThreadMakesTheDescriptorReadable) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  Runtime runtime(options());
  const int fd = runtime.poll_fd().value_or(-1);
  settle(runtime, fd);
  bool has_run = false;
  std::thread([&] { EXPECT_TRUE(runtime.post([&] { has_run = true; }).ok()); }).join();
  EXPECT_TRUE(is_readable(fd));
  EXPECT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  EXPECT_TRUE(has_run);
  EXPECT_FALSE(is_readable(fd));
}

TEST_P(CallerTest, WhatWasAskedBeforeTheDescriptorMakesItReadable) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  Runtime runtime(options());
  ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  ASSERT_TRUE(runtime.post([] {}).ok());
  EXPECT_TRUE(is_readable(runtime.poll_fd().value_or(-1)));
}

TEST_P(CallerTest, WorkThatATurnLeavesKeepsTheDescriptorReadable) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  Runtime runtime(options());
  const int fd = runtime.poll_fd().value_or(-1);
  int left = 10'000;
  std::function<void()> again = [&] {
    if (--left > 0) {
      EXPECT_TRUE(runtime.post([&] { again(); }).ok());
    }
  };
  again();
  int turns = 0;
  for (; is_readable(fd); ++turns) ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  EXPECT_EQ(left, 0);
  EXPECT_GT(turns, 1);
}

TEST_P(CallerTest, AHostThatOnlyWaitsForTheDescriptorServesConnections) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  Runtime runtime(options());
  const int fd = runtime.poll_fd().value_or(-1);
  const Listener listener = listen_on_loopback(runtime, [](Connection& connection) {
    connection.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
  });
  std::atomic<bool> is_done{false};
  std::thread client([&] {
    Peer peer(listener.address());
    for (int i = 0; i < 100; ++i) {
      peer.send("ping");
      EXPECT_EQ(peer.receive(4), "ping");
    }
    peer.half_close();
    EXPECT_EQ(peer.end(), 0);
    is_done = true;
    EXPECT_TRUE(runtime.post([] {}).ok());
  });
  while (!is_done) {
    pollfd one = {fd, POLLIN, 0};
    ASSERT_EQ(::poll(&one, 1, 60'000), 1);
    ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  }
  client.join();
}

TEST_P(CallerTest, TheTimeoutIsThatOfTheEarliestTimer) {
  ClockKernel clock;
  RuntimeOptions with_clock = options();
  with_clock.kernel = &clock;
  Runtime runtime(with_clock);
  bool has_fired = false;
  runtime.post_after(absl::Seconds(7), [&] { has_fired = true; });
  EXPECT_EQ(runtime.poll_timeout(), absl::Seconds(7));
  clock.advance(absl::Seconds(6));
  ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  EXPECT_FALSE(has_fired);
  EXPECT_EQ(runtime.poll_timeout(), absl::Seconds(1));
  clock.advance(absl::Seconds(1));
  EXPECT_EQ(runtime.poll_timeout(), absl::ZeroDuration());
  ASSERT_TRUE(runtime.run_once().ok());
  EXPECT_TRUE(has_fired);
  EXPECT_EQ(runtime.poll_timeout(), absl::InfiniteDuration());
}

TEST_P(CallerTest, ATimerOfAnotherThreadMakesTheDescriptorReadable) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  Runtime runtime(options());
  const int fd = runtime.poll_fd().value_or(-1);
  settle(runtime, fd);
  std::thread([&] { runtime.post_after(absl::Hours(1), [] {}); }).join();
  EXPECT_TRUE(is_readable(fd));
  settle(runtime, fd);
  EXPECT_LE(runtime.poll_timeout(), absl::Hours(1));
}

TEST_P(CallerTest, RunUntilEndsAtItsLimit) {
  Runtime runtime(options());
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(runtime.run_until([] { return false; }, absl::Milliseconds(1))));
  EXPECT_TRUE(runtime.run_until([] { return true; }, absl::ZeroDuration()).ok());
}

TEST_P(CallerTest, ACallbackMayNotRunTheLoop) {
  Runtime runtime(options());
  absl::Status once;
  absl::Status until;
  ASSERT_TRUE(runtime
                  .post([&] {
                    once = runtime.run_once();
                    until = runtime.run_until([] { return true; });
                  })
                  .ok());
  ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(once)) << once;
  EXPECT_TRUE(absl::IsFailedPrecondition(until)) << until;
}

TEST_P(CallerTest, ASecondThreadMayNotRunTheLoop) {
  DrivenRuntime runtime(options());
  EXPECT_TRUE(absl::IsFailedPrecondition(runtime.run_once()));
  EXPECT_TRUE(absl::IsFailedPrecondition(runtime.run_until([] { return true; })));
}

TEST_P(CallerTest, OneThreadAfterTheOtherMayRunTheLoop) {
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok());
  const Job job =
      runtime.spawn([&]() -> Task<> { (void)co_await ask(listener->address().to_string()); });
  while (!job.status().has_value()) {
    std::thread([&] { EXPECT_TRUE(runtime.run_once(absl::Milliseconds(1)).ok()); }).join();
  }
  EXPECT_TRUE(job.wait().ok());
}

TEST_P(CallerTest, CallsThatWaitRunTheLoop) {
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok());
  EXPECT_EQ(runtime.run(ask, listener->address().to_string()).value_or(""), "hello");
  const Job job = runtime.spawn([]() -> Task<> { co_await sleep_for(absl::Milliseconds(1)); });
  EXPECT_TRUE(job.wait().ok());
  EXPECT_TRUE(runtime.dump_tasks(absl::InfiniteDuration()).ok());
  EXPECT_TRUE(listener->close_and_wait().ok());
  EXPECT_TRUE(runtime.shutdown().ok());
}

TEST_P(CallerTest, ACallThatWaitsTakesThePlaceOfTheThreadThatLeaves) {
  Runtime runtime(options());
  absl::Notification is_in;
  std::atomic<bool> may_leave{false};
  std::thread first([&] {
    EXPECT_TRUE(runtime
                    .run_until([&] {
                      if (!is_in.HasBeenNotified()) is_in.Notify();
                      return may_leave.load();
                    })
                    .ok());
  });
  is_in.WaitForNotification();
  const Job job = runtime.spawn([&]() -> Task<> {
    may_leave = true;
    co_await sleep_for(absl::Milliseconds(5));
  });
  EXPECT_TRUE(job.wait().ok());
  first.join();
}

TEST_P(CallerTest, RunOnceCarriesAShutdownOut) {
  Runtime runtime(options());
  Observer observer;
  const Listener listener =
      listen_on_loopback(runtime, [&](Connection& connection) { observer.watch(connection); });
  Peer peer(listener.address());
  peer.send("x");
  ASSERT_TRUE(runtime.run_until([&] { return observer.bytes() == "x"; }).ok());
  runtime.request_shutdown();
  std::thread at_end([&] {
    EXPECT_EQ(peer.end(), 0);
    peer.close();
  });
  absl::Status turned;
  while (turned.ok()) turned = runtime.run_once();
  EXPECT_TRUE(absl::IsCancelled(turned)) << turned;
  EXPECT_EQ(observer.closed(), 1);
  at_end.join();
  EXPECT_TRUE(absl::IsFailedPrecondition(runtime.post([] {})));
  EXPECT_TRUE(absl::IsCancelled(runtime.run_once()));
  EXPECT_TRUE(absl::IsCancelled(runtime.run_until([] { return false; })));
}

TEST_P(CallerTest, TheDestructorDrains) {
  bool has_run = false;
  {
    Runtime runtime(options());
    ASSERT_TRUE(runtime.post([&] { has_run = true; }).ok());
  }
  EXPECT_TRUE(has_run);
}

TEST_P(CallerTest, TheDestructorAbortsWhatDoesNotDrainInTime) {
  RuntimeOptions short_drain = options();
  short_drain.drain_timeout = absl::Milliseconds(1);
  absl::Status end;
  std::optional<Peer> peer;
  {
    Runtime runtime(short_drain);
    bool is_open = false;
    const Listener listener = listen_on_loopback(runtime, [&](Connection& connection) {
      connection.on_drain([](Connection&) {});  // goes on
      connection.on_closed([&](Connection&, const absl::Status& why) { end = why; });
      is_open = true;
    });
    peer.emplace(listener.address());
    ASSERT_TRUE(runtime.run_until([&] { return is_open; }).ok());
  }
  EXPECT_FALSE(end.ok());
}

TEST_P(CallerTest, SignalsEndRunUntilSignalWhichRunsTheLoop) {
  Runtime runtime(options());
  int users = 0;
  std::thread::id ran_on;
  ASSERT_TRUE(runtime
                  .on_signal(SIGUSR1,
                             [&] {
                               ++users;
                               ::raise(SIGTERM);
                             })
                  .ok());
  ASSERT_TRUE(runtime.catch_signals().ok());
  ASSERT_TRUE(runtime
                  .post([&] {
                    ran_on = std::this_thread::get_id();
                    ::raise(SIGUSR1);
                  })
                  .ok());
  EXPECT_TRUE(runtime.run_until_signal().ok());
  EXPECT_EQ(users, 1);
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_P(CallerTest, OneReactor) {
  RuntimeOptions two = options();
  two.reactors = 2;
  EXPECT_TRUE(absl::IsInvalidArgument(two.check())) << two.check();
  Runtime runtime(two);
  EXPECT_TRUE(absl::IsInvalidArgument(runtime.run_once()));
  EXPECT_TRUE(absl::IsInvalidArgument(runtime.poll_fd().status()));
}

TEST_P(CallerTest, TheEngineWithoutDescriptorSaysSo) {
  Runtime runtime(options());
  EXPECT_EQ(absl::IsUnimplemented(runtime.poll_fd().status()), !has_fd());
}

TEST(Caller, ARuntimeWithThreadsHasNoLoopForCallers) {
  Runtime runtime;
  EXPECT_TRUE(absl::IsFailedPrecondition(runtime.run_once()));
  EXPECT_TRUE(absl::IsFailedPrecondition(runtime.run_until([] { return true; })));
  EXPECT_TRUE(absl::IsFailedPrecondition(runtime.poll_fd().status()));
  EXPECT_EQ(runtime.poll_timeout(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace epore
