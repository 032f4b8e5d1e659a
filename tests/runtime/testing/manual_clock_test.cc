// ManualClock: what is due has been done when advance() returns, and nothing before it is due.

#include "epore/runtime/testing/manual_clock.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/silent_port.h"

namespace epore {
namespace {

constexpr absl::Duration kAlmost = absl::Nanoseconds(1);

ListenOptions idle_after(absl::Duration time) {
  ListenOptions options;
  options.connection.idle_timeout = time;
  return options;
}

Task<> echo(Connection peer) {
  while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

// Has one answer, and is silent until the end of the stream.
Task<> ask_once(std::string address, absl::Notification& answered) {
  Connection server = co_await connect(address);
  co_await server.write("x");
  co_await server.read_exactly(1);
  answered.Notify();
  co_await server.read();
}

class ManualClockTest : public testing::TestWithParam<std::tuple<Dispatch, std::string>> {
 protected:
  RuntimeOptions options() {
    return {.workers = 2,
            .dispatch = std::get<0>(GetParam()),
            .selector = std::get<1>(GetParam()),
            .kernel = clock_.kernel()};
  }

  absl::Duration passed() const { return absl::FromChrono(clock_.now() - start_); }

  ManualClock clock_;
  const std::chrono::steady_clock::time_point start_ = clock_.now();
};

TEST_P(ManualClockTest, ASilentClientOfACoroutineIsClosedWhenItIsDue) {
  absl::Notification answered;
  Runtime runtime(options());
  absl::StatusOr<Listener> listener =
      runtime.listen("127.0.0.1:0", echo, idle_after(absl::Seconds(30)));
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Job client = runtime.spawn(ask_once, listener->address().to_string(), std::ref(answered));
  answered.WaitForNotification();
  clock_.advance(absl::Seconds(30) - kAlmost);
  EXPECT_FALSE(client.status().has_value());
  clock_.advance(kAlmost);
  const absl::Status ended = client.wait();
  EXPECT_TRUE(ended.ok()) << ended;
}

TEST_P(ManualClockTest, ASilentClientOfACallbackIsClosedWhenItIsDue) {
  absl::Notification answered;
  absl::Notification closed;
  absl::Status why;
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen(
      "127.0.0.1:0",
      [&](Connection& peer) {
        peer.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
        peer.on_closed([&](Connection&, const absl::Status& status) {
          why = status;
          closed.Notify();
        });
      },
      idle_after(absl::Seconds(30)));
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Job client = runtime.spawn(ask_once, listener->address().to_string(), std::ref(answered));
  answered.WaitForNotification();
  clock_.advance(absl::Seconds(30) - kAlmost);
  EXPECT_FALSE(closed.HasBeenNotified());
  clock_.advance(kAlmost);
  closed.WaitForNotification();  // when the client has ended its half as well
  EXPECT_TRUE(absl::IsDeadlineExceeded(why)) << why;
}

TEST_P(ManualClockTest, ATimerHasFiredWhenAdvanceReturns) {
  std::atomic<int> calls{0};
  Runtime runtime(options());
  const Timer timer = runtime.post_after(absl::Hours(1), [&calls] { ++calls; });
  clock_.advance(absl::Hours(1) - kAlmost);
  EXPECT_EQ(calls, 0);
  clock_.advance(kAlmost);
  EXPECT_EQ(calls, 1);
}

TEST_P(ManualClockTest, EachTurnOfAPeriodHasItsTime) {
  std::vector<absl::Duration> times;
  Runtime runtime(options());
  Timer timer = runtime.timer([&] { times.push_back(passed()); });
  timer.arm_every(absl::Minutes(1));
  clock_.advance(absl::Seconds(210));
  EXPECT_EQ(times, (std::vector{absl::Minutes(1), absl::Minutes(2), absl::Minutes(3)}));
}

Task<> nap(const ManualClock& clock, std::vector<std::chrono::steady_clock::time_point>& times) {
  for (int i = 0; i < 3; ++i) {
    co_await sleep_for(absl::Seconds(1));
    times.push_back(clock.now());
  }
}

TEST_P(ManualClockTest, SleepsThatFollowEachOtherHaveTheirTimes) {
  std::vector<std::chrono::steady_clock::time_point> times;
  Runtime runtime(options());
  const Job job = runtime.spawn(nap, std::ref(clock_), std::ref(times));
  clock_.advance(absl::Seconds(10));
  ASSERT_TRUE(job.status().has_value());
  using std::chrono::seconds;
  EXPECT_EQ(times, (std::vector{start_ + seconds(1), start_ + seconds(2), start_ + seconds(3)}));
}

Task<> read_in_time(std::string address, absl::Notification& connected) {
  Connection server = co_await connect(address);
  connected.Notify();
  co_await within(absl::Seconds(5), server.read());
}

TEST_P(ManualClockTest, WithinEndsWhenItIsDue) {
  absl::Notification connected;
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Job job = runtime.spawn(read_in_time, listener->address().to_string(), std::ref(connected));
  connected.WaitForNotification();
  clock_.advance(absl::Seconds(5) - kAlmost);
  EXPECT_FALSE(job.status().has_value());
  clock_.advance(kAlmost);
  ASSERT_TRUE(job.status().has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded(*job.status())) << *job.status();
}

TEST_P(ManualClockTest, AConnectThatNobodyAnswersEndsWhenItIsDue) {
  const SilentPort port;
  absl::StatusOr<Connection> result;
  std::atomic<bool> has_ended{false};
  Runtime runtime(options());
  const ConnectAttempt attempt = runtime.connect(port.address(),
                                                 [&](absl::StatusOr<Connection> connection) {
                                                   result = std::move(connection);
                                                   has_ended = true;
                                                 },
                                                 {.timeout = absl::Seconds(3)});
  clock_.advance(absl::Seconds(3) - kAlmost);
  EXPECT_FALSE(has_ended);
  clock_.advance(kAlmost);
  ASSERT_TRUE(has_ended);
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.status())) << result.status();
}

TEST_P(ManualClockTest, IdleComesAfterTheCallbackThatRuns) {
  absl::Notification began;
  absl::Notification goes_on;
  std::atomic<bool> is_done{false};
  Runtime runtime(options());
  ASSERT_TRUE(runtime
                  .post([&] {
                    began.Notify();
                    goes_on.WaitForNotification();
                    is_done = true;
                  })
                  .ok());
  began.WaitForNotification();
  std::thread other([&] { goes_on.Notify(); });
  clock_.await_idle();
  EXPECT_TRUE(is_done);
  other.join();
}

TEST_P(ManualClockTest, IdleComesAfterBlockingFunctions) {
  std::atomic<bool> is_done{false};
  Runtime runtime(options());
  const auto work = [](std::atomic<bool>& is_done) -> Task<> {
    co_await blocking([] { std::this_thread::yield(); });
    is_done = true;
  };
  const Job job = runtime.spawn(work, std::ref(is_done));
  clock_.await_idle();
  EXPECT_TRUE(is_done);
}

TEST_P(ManualClockTest, ACallbackMayMoveTheClock) {
  std::atomic<bool> has_fired{false};
  absl::Notification moved;
  Runtime runtime(options());
  const Timer timer = runtime.post_after(absl::Seconds(1), [&] { has_fired = true; });
  ASSERT_TRUE(runtime
                  .post([&] {
                    clock_.advance(absl::Seconds(1));
                    clock_.await_idle();
                    moved.Notify();
                  })
                  .ok());
  moved.WaitForNotification();
  clock_.await_idle();
  EXPECT_TRUE(has_fired);
  EXPECT_EQ(passed(), absl::Seconds(1));
}

TEST_P(ManualClockTest, WhatSeveralThreadsAddIsAddedUp) {
  std::atomic<int> beats{0};
  Runtime runtime(options());
  Timer timer = runtime.timer([&beats] { ++beats; });
  timer.arm_every(absl::Seconds(1));
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([this] {
      for (int k = 0; k < 5; ++k) clock_.advance(absl::Seconds(1));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed(), absl::Seconds(15));
  EXPECT_EQ(beats, 15);
}

// The peer is none of the runtime's: it never ends its half.
TEST_P(ManualClockTest, ADrainEndsWhenItIsDue) {
  std::atomic<bool> has_ended{false};
  RuntimeOptions options = this->options();
  options.drain_timeout = absl::Seconds(10);
  absl::Notification held;
  Runtime runtime(options);
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", [&held](Connection& peer) {
    peer.on_drain([](Connection&) {});  // goes on
    held.Notify();
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  Runtime other;
  const auto hold = [](std::string address) -> Task<> {
    Connection server = co_await connect(address);
    co_await server.read();
  };
  const Job client = other.spawn(hold, listener->address().to_string());
  held.WaitForNotification();
  std::thread stopper([&] {
    EXPECT_TRUE(runtime.shutdown(absl::Seconds(10)).ok());
    has_ended = true;
  });
  while (!has_ended) clock_.advance(absl::Seconds(1));
  stopper.join();
  EXPECT_GE(passed(), absl::Seconds(10));
}

// As after an ASSERT. The client is none of the runtime's, and its end of the stream never comes.
TEST_P(ManualClockTest, ATestMayEndInTheMiddle) {
  absl::Notification answered;
  Runtime other;
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Job client = other.spawn(
      [](std::string address, absl::Notification& done) -> Task<> {
        Connection server = co_await connect(address);
        co_await server.write("x");
        co_await server.read_exactly(1);
        done.Notify();
        co_await sleep_for(absl::Hours(1));
      },
      listener->address().to_string(), std::ref(answered));
  answered.WaitForNotification();
}

TEST_P(ManualClockTest, SeveralRuntimesShareIt) {
  std::atomic<int> calls{0};
  Runtime one(options());
  Runtime two(options());
  const Timer first = one.post_after(absl::Seconds(1), [&calls] { ++calls; });
  const Timer second = two.post_after(absl::Seconds(2), [&calls] { ++calls; });
  clock_.advance(absl::Seconds(1));
  EXPECT_EQ(calls, 1);
  clock_.advance(absl::Seconds(1));
  EXPECT_EQ(calls, 2);
}

std::string name_of(const testing::TestParamInfo<std::tuple<Dispatch, std::string>>& info) {
  return std::string(dispatch_name(std::get<0>(info.param))) + "_" + std::get<1>(info.param);
}

INSTANTIATE_TEST_SUITE_P(All, ManualClockTest,
                         testing::Combine(testing::Values(Dispatch::adaptive, Dispatch::workers,
                                                          Dispatch::poll_thread),
                                          testing::Values("epoll", "poll", "io_uring")),
                         name_of);

// With Dispatch::caller the loop is the test's own.
TEST(ManualClockCallerTest, WhatIsDueIsDoneInTheNextTurns) {
  bool has_fired = false;
  ManualClock clock;
  Runtime runtime({.dispatch = Dispatch::caller, .kernel = clock.kernel()});
  const Timer timer = runtime.post_after(absl::Hours(1), [&has_fired] { has_fired = true; });
  clock.advance(absl::Hours(1) - kAlmost);
  ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  EXPECT_FALSE(has_fired);
  clock.advance(kAlmost);
  EXPECT_FALSE(has_fired);
  ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  EXPECT_TRUE(has_fired);
}

TEST(ManualClockCallerTest, ASilentClientIsClosedWhenItIsDue) {
  absl::Notification answered;
  ManualClock clock;
  Runtime runtime({.dispatch = Dispatch::caller, .kernel = clock.kernel()});
  absl::StatusOr<Listener> listener =
      runtime.listen("127.0.0.1:0", echo, idle_after(absl::Seconds(30)));
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Job client = runtime.spawn(ask_once, listener->address().to_string(), std::ref(answered));
  ASSERT_TRUE(runtime.run_until([&] { return answered.HasBeenNotified(); }).ok());
  clock.advance(absl::Seconds(30));
  ASSERT_TRUE(runtime.run_until([&] { return client.status().has_value(); }).ok());
  EXPECT_TRUE(client.status()->ok()) << *client.status();
}

// The loop sleeps on a thread of the program until the clock moves.
TEST(ManualClockCallerTest, AdvanceEndsTheSleepOfALoop) {
  std::atomic<bool> has_ended{false};
  absl::Status ended;
  ManualClock clock;
  Runtime runtime({.dispatch = Dispatch::caller, .kernel = clock.kernel()});
  std::thread loop([&] {
    ended = runtime.run_until([] { return false; }, absl::Seconds(5));
    has_ended = true;
  });
  while (!has_ended) clock.advance(absl::Seconds(1));
  loop.join();
  EXPECT_TRUE(absl::IsDeadlineExceeded(ended)) << ended;
}

TEST(ManualClockDeathTest, TimeGoesForward) {
  ManualClock clock;
  EXPECT_DEATH(clock.advance(-absl::Seconds(1)), "negative or infinite");
  EXPECT_DEATH(clock.advance(absl::InfiniteDuration()), "negative or infinite");
}

}  // namespace
}  // namespace epore
