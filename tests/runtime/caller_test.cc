// Dispatch::caller: the loop runs on threads of the program. The other suites run it on a thread of
// their own (DrivenRuntime); here the test is that thread.

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

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
                         testing::ValuesIn(not_refused({{Dispatch::caller, "epoll"},
                                                        {Dispatch::caller, "poll"},
                                                        {Dispatch::caller, "io_uring"}})),
                         mode_name);

bool is_readable(int fd) {
  pollfd one = {fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

// A host that waits for nothing but the descriptor and the timeout.
bool host_waits(Runtime& runtime, int fd) {
  const absl::Duration timeout = absl::Ceil(runtime.poll_timeout(), absl::Milliseconds(1));
  pollfd one = {fd, POLLIN, 0};
  const bool is_long = timeout > absl::Minutes(1);
  const int limit = is_long ? 60'000 : static_cast<int>(absl::ToInt64Milliseconds(timeout));
  return ::poll(&one, 1, limit) == 1 || !is_long;  // false: a minute has passed in vain
}

// Calls a function once, on the thread that makes the k-th of the calls before and at a sleep: a
// look at the clock or a wait for events.
class StepKernel : public FaultKernel {
 public:
  using FaultKernel::FaultKernel;

  void at_step(int k, std::function<void()> function) {
    left_ = k;
    function_ = std::move(function);
  }
  bool is_over() const { return function_ == nullptr; }

  std::int64_t now() override {
    step();
    return FaultKernel::now();
  }
  SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) override {
    step_to_the_end();
    return FaultKernel::epoll_wait(epfd, events, capacity, timeout_ms);
  }
  SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                         const timespec* timeout) override {
    step_to_the_end();
    return FaultKernel::epoll_pwait2(epfd, events, capacity, timeout);
  }
  SysResult ppoll(pollfd* fds, std::size_t count, const timespec* timeout) override {
    step_to_the_end();
    return FaultKernel::ppoll(fds, count, timeout);
  }
  SysResult io_uring_enter(int ring, unsigned submit, unsigned min_complete, unsigned flags,
                           const void* argument, std::size_t size) override {
    if (min_complete > 0) step_to_the_end();
    return FaultKernel::io_uring_enter(ring, submit, min_complete, flags, argument, size);
  }

 private:
  void step() {
    if (std::this_thread::get_id() != thread_ || function_ == nullptr || --left_ > 0) return;
    std::exchange(function_, nullptr)();
  }
  void step_to_the_end() {
    left_ = std::min(left_, 1);
    step();
  }

  const std::thread::id thread_ = std::this_thread::get_id();
  int left_ = 0;
  std::function<void()> function_;
};

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
  // One tries a ring when a runtime starts, and ends.
  const std::uint64_t for_a_ring = GetParam().selector == "io_uring" ? 1 : 0;
  EXPECT_EQ(runtime.counters().system_call("thread_start"), for_a_ring);
  EXPECT_EQ(system_.counts()[static_cast<std::size_t>(KernelCall::kThreadStart)], for_a_ring);
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
  Observer observer;
  Runtime runtime(options());
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

TEST_P(CallerTest, RunUntilRunsATurnAtLeast) {
  Runtime runtime(options());
  bool has_run = false;
  ASSERT_TRUE(runtime.post([&] { has_run = true; }).ok());
  EXPECT_TRUE(runtime.run_until([&] { return has_run; }, absl::ZeroDuration()).ok());
}

TEST_P(CallerTest, WhatAnotherThreadAsksBeforeTheSleepEndsIt) {
  enum class Ask { post, post_after, request_shutdown };
  for (const Ask ask : {Ask::post, Ask::post_after, Ask::request_shutdown}) {
    for (int k = 1; k <= 10; ++k) {
      StepKernel kernel(system_);
      RuntimeOptions with_steps = options();
      with_steps.kernel = &kernel;
      Runtime runtime(with_steps);
      ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
      bool has_run = false;
      kernel.at_step(k, [&] {
        std::thread([&] {
          if (ask == Ask::post) {
            EXPECT_TRUE(runtime.post([&] { has_run = true; }).ok());
          }
          if (ask == Ask::post_after) {
            runtime.post_after(absl::Nanoseconds(1), [&] { has_run = true; });
          }
          if (ask == Ask::request_shutdown) runtime.request_shutdown();
        }).join();
      });
      const absl::Status ended = runtime.run_until([&] { return has_run; }, absl::Minutes(1));
      EXPECT_TRUE(kernel.is_over());
      EXPECT_EQ(absl::IsCancelled(ended), ask == Ask::request_shutdown) << k << ": " << ended;
      EXPECT_EQ(ended.ok(), ask != Ask::request_shutdown) << k << ": " << ended;
    }
  }
}

TEST_P(CallerTest, ARequestDuringRunOnceIsCarriedOutByTheNext) {
  for (int k = 1; k <= 6; ++k) {
    StepKernel kernel(system_);
    RuntimeOptions with_steps = options();
    with_steps.kernel = &kernel;
    Runtime runtime(with_steps);
    ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
    kernel.at_step(k, [&] { std::thread([&] { runtime.request_shutdown(); }).join(); });
    absl::Status turned;
    int turns = 0;
    for (; turned.ok() && turns < 10; ++turns) turned = runtime.run_once(absl::Hours(1));
    EXPECT_TRUE(absl::IsCancelled(turned)) << k << ": " << turned;
  }
}

TEST_P(CallerTest, NoPostOfManyThreadsIsLostToAHostThatWaitsForTheDescriptor) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  Runtime runtime(options());
  const int fd = runtime.poll_fd().value_or(-1);
  constexpr int kThreads = 3;
  constexpr int kPosts = 100;
  std::vector<std::thread> threads;
  int done = 0;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kPosts; ++j) {
        absl::Notification has_run;  // one after the other: each finds a host that sleeps
        EXPECT_TRUE(runtime
                        .post([&] {
                          ++done;
                          has_run.Notify();
                        })
                        .ok());
        has_run.WaitForNotification();
      }
    });
  }
  while (done < kThreads * kPosts) {
    ASSERT_TRUE(host_waits(runtime, fd)) << done;
    ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(CallerTest, NoTimerOfAnotherThreadIsLostToAHostThatWaits) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  Runtime runtime(options());
  const int fd = runtime.poll_fd().value_or(-1);
  std::atomic<bool> is_done{false};
  std::thread other([&] {
    for (int i = 0; i < 50; ++i) {
      absl::Notification has_fired;
      runtime.post_after(absl::Microseconds(i % 3), [&] { has_fired.Notify(); });
      has_fired.WaitForNotification();
    }
    is_done = true;
    EXPECT_TRUE(runtime.post([] {}).ok());
  });
  while (!is_done) {
    ASSERT_TRUE(host_waits(runtime, fd));
    ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  }
  other.join();
}

TEST_P(CallerTest, ATimerThatIsDueMakesTheDescriptorReadable) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  Runtime runtime(options());
  const int fd = runtime.poll_fd().value_or(-1);
  settle(runtime, fd);
  bool has_fired = false;
  ASSERT_TRUE(runtime
                  .post([&] {
                    runtime.post_after(absl::ZeroDuration(), [&] {
                      runtime.post_after(-absl::Hours(1), [&] { has_fired = true; });
                    });
                  })
                  .ok());
  for (int turns = 0; !has_fired && turns < 10; ++turns) {
    EXPECT_TRUE(is_readable(fd));
    EXPECT_EQ(runtime.poll_timeout(), absl::ZeroDuration());
    ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  }
  EXPECT_TRUE(has_fired);
}

TEST_P(CallerTest, AHostThatWaitsForTheDescriptorSeesTheShutdownThrough) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  RuntimeOptions patient = options();
  patient.drain_timeout = absl::InfiniteDuration();
  Runtime runtime(patient);
  const int fd = runtime.poll_fd().value_or(-1);
  Observer observer;
  const Listener listener =
      listen_on_loopback(runtime, [&](Connection& connection) { observer.watch(connection); });
  Peer peer(listener.address());
  peer.send("x");
  ASSERT_TRUE(runtime.run_until([&] { return observer.bytes() == "x"; }).ok());
  std::thread other([&] {
    runtime.request_shutdown();
    EXPECT_EQ(peer.end(), 0);
    peer.close();
  });
  absl::Status turned;
  while (turned.ok()) {
    ASSERT_TRUE(host_waits(runtime, fd));
    turned = runtime.run_once(absl::ZeroDuration());
  }
  EXPECT_TRUE(absl::IsCancelled(turned)) << turned;
  EXPECT_EQ(observer.closed(), 1);
  other.join();
}

TEST_P(CallerTest, AShutdownByAnotherThreadWakesTheHost) {
  if (!has_fd()) GTEST_SKIP() << "poll(2) has no descriptor";
  Runtime runtime(options());
  const int fd = runtime.poll_fd().value_or(-1);
  settle(runtime, fd);
  std::thread([&] { EXPECT_TRUE(runtime.shutdown().ok()); }).join();  // runs the loop itself
  EXPECT_TRUE(is_readable(fd));
  EXPECT_TRUE(absl::IsCancelled(runtime.run_once(absl::ZeroDuration())));
  EXPECT_EQ(runtime.poll_fd().value_or(-1), fd);
}

TEST_P(CallerTest, ACallbackMayAskForTheShutdownButNotWaitForIt) {
  Runtime runtime(options());
  absl::Status waited;
  ASSERT_TRUE(runtime
                  .post([&] {
                    waited = runtime.shutdown();
                    runtime.request_shutdown();
                  })
                  .ok());
  EXPECT_TRUE(absl::IsCancelled(runtime.run_until([] { return false; })));
  EXPECT_TRUE(absl::IsFailedPrecondition(waited)) << waited;
}

TEST_P(CallerTest, ThreadsThatWaitNeedNoHost) {
  Runtime runtime(options());
  const Job job = runtime.spawn([]() -> Task<> { co_await sleep_for(absl::Milliseconds(1)); });
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      EXPECT_TRUE(job.wait().ok());
      EXPECT_TRUE(runtime.dump_tasks(absl::InfiniteDuration()).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(CallerTest, ThreadsThatShutDownAtOnceAllReturn) {
  Runtime runtime(options());
  const Job job = runtime.spawn([]() -> Task<> { co_await sleep_for(absl::Milliseconds(1)); });
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(runtime.shutdown().ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(absl::IsCancelled(runtime.run_once()));
}

TEST_P(CallerTest, ACallbackThatThrowsEndsNeitherTheTurnNorTheLoop) {
  Runtime runtime(options());
  bool has_run = false;
  ASSERT_TRUE(runtime.post([] { throw std::runtime_error("of a callback"); }).ok());
  ASSERT_TRUE(runtime.post([&] { has_run = true; }).ok());
  EXPECT_TRUE(runtime.run_until([&] { return has_run; }).ok());
}

TEST_P(CallerTest, AConditionThatThrowsLeavesTheLoop) {
  Runtime runtime(options());
  EXPECT_THROW(
      (void)runtime.run_until([]() -> bool { throw std::runtime_error("of a condition"); }),
      std::runtime_error);
  bool has_run = false;
  ASSERT_TRUE(runtime.post([&] { has_run = true; }).ok());
  EXPECT_FALSE(has_run);
  EXPECT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());  // the loop is free again
  EXPECT_TRUE(has_run);
}

TEST_P(CallerTest, TwoRuntimesTakeTurnsOnOneThread) {
  Runtime one(options());
  Runtime two(options());
  int left = 100;
  std::function<void()> pass = [&] {
    if (--left == 0) return;
    EXPECT_TRUE((left % 2 == 0 ? one : two).post([&] { pass(); }).ok());
  };
  pass();
  while (left > 0) {
    ASSERT_TRUE(one.run_once(absl::ZeroDuration()).ok());
    ASSERT_TRUE(two.run_once(absl::ZeroDuration()).ok());
  }
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
