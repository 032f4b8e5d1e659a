// Runtime::timer(), post_after() and Connection::timer(), on a clock that the test moves.

#include "epore/runtime/timer.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/barrier.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/hold.h"

namespace epore {
namespace {

class TimerTest : public RuntimeTest {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options = RuntimeTest::options();
    options.kernel = &clock_;
    return options;
  }

  ClockKernel clock_;
};

// Counts calls and waits for them.
class Calls {
 public:
  void operator()() {
    absl::MutexLock lock(&mutex_);
    ++count_;
  }
  void await(int count) {
    absl::MutexLock lock(&mutex_);
    const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return count_ >= count; };
    mutex_.Await(absl::Condition(&have));
  }
  int count() const {
    absl::MutexLock lock(&mutex_);
    return count_;
  }

 private:
  mutable absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Returns when every timer that is due by now has been called.
void timer_fence(Runtime& runtime) {
  for (int turn = 0; turn < 2; ++turn) {  // one turn finds them due, and they may run in the next
    Calls calls;
    Timer fence = runtime.post_after(absl::ZeroDuration(), [&] { calls(); });
    calls.await(1);
  }
}

INSTANTIATE_TEST_SUITE_P(Everywhere, TimerTest, testing::ValuesIn(every_mode()), mode_name);

TEST_P(TimerTest, FiresAtItsTimeAndNotANanosecondEarlier) {
  RuntimeOptions one_worker = options();
  one_worker.workers = 1;  // so that the fence runs behind what was due before it
  Calls fired;
  DrivenRuntime runtime(one_worker);
  Timer timer = runtime.timer([&] { fired(); });
  EXPECT_FALSE(timer.is_armed());
  timer.arm(absl::Hours(1));
  EXPECT_TRUE(timer.is_armed());
  clock_.advance(absl::Hours(1) - absl::Nanoseconds(1));
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 0);
  clock_.advance(absl::Nanoseconds(1));
  fired.await(1);
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 1);
  EXPECT_FALSE(timer.is_armed());
  EXPECT_FALSE(timer.cancel());
}

TEST_P(TimerTest, APeriodOfZeroOrLessIsRefused) {
  Calls fired;
  DrivenRuntime runtime(options());
  Timer timer = runtime.timer([&] { fired(); });
  for (const absl::Duration period :
       {absl::ZeroDuration(), -absl::Seconds(1), -absl::InfiniteDuration()}) {
    EXPECT_FALSE(timer.arm_every(period));
    EXPECT_FALSE(timer.is_armed());
  }
  timer.arm(absl::Hours(1));
  EXPECT_FALSE(timer.arm_every(absl::ZeroDuration()));
  EXPECT_TRUE(timer.is_armed());
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 0);
}

TEST_P(TimerTest, ZeroAndThePastFireSoonAndNeverInsideTheCall) {
  Calls fired;
  DrivenRuntime runtime(options());
  absl::Notification armed;
  Timer timer = runtime.timer([&] {
    armed.WaitForNotification();
    fired();
  });
  timer.arm(absl::ZeroDuration());  // it would wait here for ever
  armed.Notify();
  fired.await(1);
  timer.arm(-absl::Hours(24));
  fired.await(2);
  timer.arm(-absl::InfiniteDuration());
  fired.await(3);
}

TEST_P(TimerTest, InfiniteIsNeverAndDisarms) {
  DrivenRuntime runtime(options());
  Timer timer = runtime.timer([] { ADD_FAILURE(); });
  timer.arm(absl::InfiniteDuration());
  EXPECT_FALSE(timer.is_armed());
  timer.arm(absl::Seconds(1));
  timer.arm(absl::InfiniteDuration());
  EXPECT_FALSE(timer.is_armed());
  EXPECT_EQ(runtime.counters().timers_armed, 0u);
  timer.arm_every(absl::InfiniteDuration());
  clock_.advance(absl::Hours(24 * 365 * 200));
  timer_fence(runtime);
}

TEST_P(TimerTest, F24AHundredYearsAreValid) {
  const absl::Duration century = absl::Hours(24 * 365 * 100);
  Calls fired;
  DrivenRuntime runtime(options());
  Timer timer = runtime.post_after(century, [&] { fired(); });
  clock_.advance(century - absl::Nanoseconds(1));
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 0);
  clock_.advance(absl::Nanoseconds(1));
  fired.await(1);
}

TEST_P(TimerTest, ArmingAgainReplacesTheDeadline) {
  Calls fired;
  DrivenRuntime runtime(options());
  Timer timer = runtime.timer([&] { fired(); });
  timer.arm(absl::Seconds(1));
  timer.arm(absl::Seconds(3));
  clock_.advance(absl::Seconds(2));
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 0);
  timer.arm(absl::Milliseconds(1));
  clock_.advance(absl::Milliseconds(1));
  fired.await(1);
  clock_.advance(absl::Hours(1));
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 1);
}

TEST_P(TimerTest, PeriodsStayOnTheirGridAndMissedOnesAreLeftOut) {
  RuntimeOptions one_worker = options();
  one_worker.workers = 1;
  Calls fired;
  DrivenRuntime runtime(one_worker);
  Timer timer = runtime.timer([&] { fired(); });
  timer.arm_every(absl::Seconds(10));
  for (int i = 1; i <= 3; ++i) {
    clock_.advance(absl::Seconds(10));
    fired.await(i);
  }
  clock_.advance(absl::Seconds(1005));  // a hundred periods, and a half
  fired.await(4);
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 4);
  clock_.advance(absl::Seconds(5) - absl::Nanoseconds(1));
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 4);
  clock_.advance(absl::Nanoseconds(1));
  fired.await(5);
  EXPECT_TRUE(timer.is_armed());
  EXPECT_TRUE(timer.cancel());
  clock_.advance(absl::Hours(1));
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 5);
}

TEST_P(TimerTest, ATimerMayArmOrCancelItselfInItsCallback) {
  Calls fired;
  DrivenRuntime runtime(options());
  Timer timer;
  absl::Notification is_set;
  timer = runtime.timer([&] {
    is_set.WaitForNotification();
    fired();
    if (fired.count() < 4) timer.arm(absl::ZeroDuration());
  });
  timer.arm(absl::ZeroDuration());
  is_set.Notify();
  fired.await(4);
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 4);

  Calls ticks;
  Timer periodic;
  absl::Notification periodic_is_set;
  periodic = runtime.timer([&] {
    periodic_is_set.WaitForNotification();
    EXPECT_TRUE(periodic.cancel());  // the next period
    ticks();
  });
  periodic.arm_every(absl::Seconds(1));
  periodic_is_set.Notify();
  clock_.advance(absl::Seconds(1));
  ticks.await(1);
  clock_.advance(absl::Seconds(10));
  timer_fence(runtime);
  EXPECT_EQ(ticks.count(), 1);
  periodic = Timer();
  timer = Timer();
}

TEST_P(TimerTest, F25ATimerArmedAfterALongCallbackStillHasItsWholeTime) {
  Calls fired;
  Calls armed;
  DrivenRuntime runtime(options());
  Timer second = runtime.timer([&] { fired(); });
  Timer first = runtime.post_after(absl::Seconds(1), [&] {
    clock_.advance(absl::Hours(1));  // as long as this callback takes
    second.arm(absl::Seconds(60));
    armed();
  });
  clock_.advance(absl::Seconds(1));
  armed.await(1);
  clock_.advance(absl::Seconds(60) - absl::Nanoseconds(1));
  timer_fence(runtime);
  EXPECT_EQ(fired.count(), 0);
  clock_.advance(absl::Nanoseconds(1));
  fired.await(1);
}

TEST_P(TimerTest, F42AThrowingTimerIsCountedAndAPeriodicOneGoesOn) {
  Calls fired;
  DrivenRuntime runtime(options());
  Timer timer = runtime.timer([&] {
    fired();
    throw std::runtime_error("on purpose");
  });
  timer.arm_every(absl::Seconds(1));
  for (int i = 1; i <= 3; ++i) {
    clock_.advance(absl::Seconds(1));
    fired.await(i);
  }
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().callback_exceptions, 3u);
  EXPECT_EQ(runtime.counters().timers_fired, 3u);
}

// Both due in the same turn, whichever comes first cancels the other.
TEST_P(TimerTest, F26OfTwoThatAreDueTogetherTheOneThatIsCancelledIsNotCalled) {
  for (int round = 0; round < 20; ++round) {
    Calls called;
    Calls decided;  // called or cancelled
    Timer timers[2];
    DrivenRuntime runtime(options());
    for (int i = 0; i < 2; ++i) {
      timers[i] = runtime.timer([&, i] {
        if (timers[1 - i].cancel()) decided();
        called();
        decided();
      });
    }
    // The other may be armed first, and the deadlines the same, or the one or the other earlier.
    const int first = round % 2;
    timers[first].arm(absl::Seconds(1));
    timers[1 - first].arm(absl::Seconds(1) + absl::Nanoseconds(round % 3 - 1));
    clock_.advance(absl::Seconds(2));
    decided.await(2);
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_EQ(decided.count(), 2);
    EXPECT_GE(called.count(), 1);
    if (GetParam().dispatch == Dispatch::poll_thread) {
      EXPECT_EQ(called.count(), 1);
    }
    for (Timer& timer : timers) timer = Timer();  // their callbacks hold them
  }
}

TEST_P(TimerTest, F26ACancelOnAnotherThreadTellsWhetherItWasInTime) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<bool> was_called{false};
    DrivenRuntime runtime(options());
    Timer timer = runtime.timer([&] { was_called = true; });
    timer.arm(absl::Seconds(1));
    absl::Barrier* const barrier = new absl::Barrier(2);
    std::thread mover([&] {
      if (barrier->Block()) delete barrier;
      clock_.advance(absl::Seconds(1));
    });
    if (barrier->Block()) delete barrier;
    const bool was_cancelled = timer.cancel();
    mover.join();
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_NE(was_called.load(), was_cancelled);
  }
}

TEST_P(TimerTest, DroppingTheHandleOfAnArmedTimerDoesNotCancelIt) {
  Calls fired;
  DrivenRuntime runtime(options());
  {
    Timer timer = runtime.post_after(absl::Seconds(1), [&] { fired(); });
  }
  clock_.advance(absl::Seconds(1));
  fired.await(1);
}

TEST_P(TimerTest, TheCallbackGoesWithTheLastHandleOfATimerThatIsNotArmed) {
  DrivenRuntime runtime(options());
  auto shared = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = shared;
  Timer timer = runtime.timer([shared = std::move(shared)] {});
  Timer copy = timer;
  timer = Timer();
  EXPECT_FALSE(watched.expired());
  copy.arm(absl::Hours(1));
  EXPECT_TRUE(copy.cancel());
  copy = Timer();
  EXPECT_TRUE(watched.expired());
}

// It is due again while it runs, and the queue's reference has gone: the run that is to come is all
// that knows of it.
TEST_P(TimerTest, APeriodicTimerWithoutAHandleGoesOnThoughItRunsForLongerThanItsPeriod) {
  absl::Notification runs, go_on, ran_again;
  std::atomic<int> count{0};
  RuntimeOptions workers = options();
  workers.dispatch = Dispatch::workers;
  workers.workers = 2;
  DrivenRuntime runtime(workers);
  runtime
      .timer([&] {
        const int run = count.fetch_add(1);
        if (run == 0) {
          runs.Notify();
          go_on.WaitForNotification();
        } else if (run == 1) {
          ran_again.Notify();
        }
      })
      .arm_every(absl::Milliseconds(1));
  clock_.advance(absl::Milliseconds(1));
  runs.WaitForNotification();
  clock_.advance(absl::Milliseconds(1));
  timer_fence(runtime);
  go_on.Notify();
  ran_again.WaitForNotification();
}

TEST_P(TimerTest, ATimerThatNamesNoneDoesNothing) {
  Timer none;
  none.arm(absl::Seconds(1));
  none.arm_every(absl::Seconds(1));
  EXPECT_FALSE(none.cancel());
  EXPECT_FALSE(none.is_armed());
}

TEST_P(TimerTest, F45ATimerMayOutliveItsRuntime) {
  Timer armed;
  Timer idle;
  std::weak_ptr<int> watched;
  {
    DrivenRuntime runtime(options());
    auto shared = std::make_shared<int>(0);
    watched = shared;
    armed = runtime.timer([shared = std::move(shared)] { ADD_FAILURE(); });
    armed.arm(absl::Seconds(1));
    idle = runtime.timer([] { ADD_FAILURE(); });
  }
  clock_.advance(absl::Hours(1));
  for (Timer* timer : {&armed, &idle}) {
    EXPECT_FALSE(timer->is_armed());
    EXPECT_FALSE(timer->cancel());
    timer->arm(absl::ZeroDuration());
    EXPECT_FALSE(timer->is_armed());
    timer->arm_every(absl::Seconds(1));
    EXPECT_FALSE(timer->is_armed());
  }
  EXPECT_TRUE(watched.expired()) << "the end of the runtime destroys what a callback has captured";
}

// The natural way to arm again: without the runtime's end nothing would ever break the circle.
TEST_P(TimerTest, ACallbackThatCapturesItsOwnHandleIsDestroyedWithTheRuntime) {
  enum { never_armed, armed, has_fired };
  for (int state : {never_armed, armed, has_fired}) {
    std::weak_ptr<int> watched;
    const ExpectNoFdLeak no_leak;
    Calls fired;
    Timer kept;
    DrivenRuntime runtime(options());
    const auto timer = std::make_shared<Timer>();
    auto shared = std::make_shared<int>(0);
    watched = shared;
    *timer = runtime.timer([timer, state, shared = std::move(shared), &fired] {
      if (state == armed) timer->arm(absl::Seconds(1));
      fired();
    });
    if (state != never_armed) {
      timer->arm(absl::Seconds(1));
      clock_.advance(absl::Seconds(1));
      fired.await(1);
    }
    kept = *timer;
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_TRUE(watched.expired()) << state;
    kept.arm(absl::ZeroDuration());
    EXPECT_FALSE(kept.is_armed());
  }
}

TEST_P(TimerTest, ACallbackOfAnOrdersTimerThatCapturesItsOwnHandleAsWell) {
  const ExpectNoFdLeak no_leak;
  std::weak_ptr<int> watched;
  DrivenRuntime runtime(options());
  const auto timer = std::make_shared<Timer>();
  auto shared = std::make_shared<int>(0);
  watched = shared;
  *timer = runtime.order().timer([timer, shared = std::move(shared)] {});
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(watched.expired());
}

TEST_P(TimerTest, ATimerThatIsMadeAsTheRuntimeEndsKeepsNothing) {
  for (int round = 0; round < 20; ++round) {
    const ExpectNoFdLeak no_leak;
    DrivenRuntime runtime(options());
    absl::Notification begun;
    std::weak_ptr<int> last;
    std::thread makes([&] {
      for (int i = 0;; ++i) {
        const auto timer = std::make_shared<Timer>();
        auto shared = std::make_shared<int>(0);
        last = shared;
        *timer = runtime.timer([timer, shared = std::move(shared)] {});
        timer->arm(absl::Hours(1));
        if (i == 3) begun.Notify();
        if (!timer->is_armed()) break;
      }
    });
    begun.WaitForNotification();
    EXPECT_TRUE(runtime.shutdown().ok());
    makes.join();
    EXPECT_TRUE(last.expired());
  }
}

TEST(TimerShutdownTest, ATimerThatIsDueWhenTheRuntimeEndsIsNotArmedAfterwards) {
  ClockKernel clock;
  RuntimeOptions options;
  options.dispatch = Dispatch::poll_thread;
  options.kernel = &clock;
  DrivenRuntime runtime(options);
  absl::Notification begun, goes_on;
  Timer first = runtime.timer([&] {
    begun.Notify();
    goes_on.WaitForNotification();
  });
  Timer second = runtime.timer([] { ADD_FAILURE(); });
  first.arm(absl::Seconds(1));
  second.arm(absl::Seconds(1) + absl::Nanoseconds(1));
  clock.advance(absl::Seconds(2));
  begun.WaitForNotification();
  EXPECT_TRUE(second.is_armed());
  std::thread ends([&] { EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok()); });
  while (runtime.post([] {}).ok()) std::this_thread::yield();  // until it refuses
  goes_on.Notify();
  ends.join();
  EXPECT_FALSE(second.is_armed());
}

// Each timer arms itself again for at once, so that no reactor ever has nothing to do.
class TimerFloodTest : public testing::TestWithParam<Dispatch> {
 protected:
  static constexpr int kReactors = 2;
  static constexpr int kTimers = 600;  // more than a queue hands over at a time, for each reactor

  TimerFloodTest() {
    RuntimeOptions options;
    options.dispatch = GetParam();
    options.reactors = kReactors;
    options.kernel = &clock_;
    runtime_.emplace(options);
  }
  ~TimerFloodTest() override {
    if (runtime_) (void)runtime_->shutdown(absl::ZeroDuration());
  }

  // Returns when every timer has run.
  void begin() {
    absl::BlockingCounter all(kTimers);
    timers_.resize(kTimers);
    for (Timer& timer : timers_) {
      timer = runtime_->timer([this, &timer, &all, is_first = true]() mutable {
        ++runs_;
        timer.arm(absl::ZeroDuration());
        if (std::exchange(is_first, false)) all.DecrementCount();
      });
    }
    for (Timer& timer : timers_) timer.arm(absl::ZeroDuration());
    all.Wait();
  }

  // Returns when the flood has gone on.
  void await_more() const {
    const std::uint64_t end = runs_ + 4 * kTimers;
    while (runs_ < end) std::this_thread::yield();
  }

  void expect_that_it_has_ended() {
    const std::uint64_t runs = runs_;
    for (const Timer& timer : timers_) EXPECT_FALSE(timer.is_armed());
    EXPECT_EQ(runs_, runs);
  }

  ClockKernel clock_;
  std::atomic<std::uint64_t> runs_{0};
  std::vector<Timer> timers_;
  std::optional<Runtime> runtime_;
};

INSTANTIATE_TEST_SUITE_P(Dispatch, TimerFloodTest,
                         testing::Values(Dispatch::adaptive, Dispatch::workers,
                                         Dispatch::poll_thread),
                         [](const testing::TestParamInfo<Dispatch>& info) {
                           return std::string(dispatch_name(info.param));
                         });

TEST_P(TimerFloodTest, WithoutConnectionsAShutdownWaitsForNothing) {
  begin();
  EXPECT_TRUE(runtime_->shutdown(absl::InfiniteDuration()).ok());
  expect_that_it_has_ended();
}

TEST_P(TimerFloodTest, ADrainGoesOnUntilItsDeadlineAndNoLonger) {
  Observer observer;
  Link link = open_link(*runtime_, observer);
  absl::Notification drains;
  link.connection.on_drain([&](Connection&) { drains.Notify(); });  // and never ends
  fence(link.connection);
  begin();
  std::thread ends([&] { EXPECT_TRUE(runtime_->shutdown(absl::Seconds(5)).ok()); });
  drains.WaitForNotification();
  await_more();
  EXPECT_EQ(observer.closed(), 0);
  clock_.advance(absl::Seconds(5));
  ends.join();
  EXPECT_TRUE(absl::IsCancelled(observer.await_closed()));
  expect_that_it_has_ended();
}

TEST_P(TimerTest, AfterTheShutdownTimersAreMadeThatDoNothing) {
  DrivenRuntime runtime(options());
  EXPECT_TRUE(runtime.shutdown().ok());
  Timer timer = runtime.timer([] { ADD_FAILURE(); });
  timer.arm(absl::ZeroDuration());
  EXPECT_FALSE(timer.is_armed());
  EXPECT_FALSE(runtime.post_after(absl::ZeroDuration(), [] { ADD_FAILURE(); }).is_armed());
}

// -- Of a connection. --

TEST_P(TimerTest, ATimerOfAConnectionRunsInItsOrder) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  Calls fired;
  std::atomic<bool> is_inside{false};
  Timer timer = link.connection.timer([&](Connection& connection) {
    EXPECT_FALSE(is_inside.exchange(true));
    EXPECT_EQ(connection.id(), link.connection.id());
    fired();
    is_inside = false;
  });
  timer.arm_every(absl::Seconds(1));
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(link.connection
                    .post([&](Connection&) {
                      EXPECT_FALSE(is_inside.exchange(true));
                      is_inside = false;
                    })
                    .ok());
    clock_.advance(absl::Seconds(1));
    fired.await(i);
  }
  link.connection.abort();
  EXPECT_FALSE(observer.await_closed().ok());
}

// `closed` is the last callback, and may use what those before it own.
TEST_P(TimerTest, WhatATimerOfAConnectionCapturedOutlivesTheClosedCallback) {
  Observer observer;
  DrivenRuntime runtime(options());
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  bool is_alive = false;
  observer.when_closed = [&](Connection&, const absl::Status&) { is_alive = !watched.expired(); };
  Link link = open_link(runtime, observer);
  Timer timer = link.connection.timer([owned = std::move(owned)](Connection&) {});
  timer.arm(absl::Seconds(1));
  link.connection.abort();
  (void)observer.await_closed();
  EXPECT_TRUE(is_alive);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(watched.expired());
}

TEST_P(TimerTest, ATimerOfAConnectionEndsWithIt) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  absl::Notification destroyed;
  auto shared = std::shared_ptr<int>(new int(0), [&](const int* number) {
    delete number;
    destroyed.Notify();
  });
  Timer timer = link.connection.timer([shared = std::move(shared)](Connection&) { ADD_FAILURE(); });
  timer.arm(absl::Seconds(1));
  link.connection.abort();
  (void)observer.await_closed();
  EXPECT_FALSE(timer.is_armed());
  destroyed.WaitForNotification();
  timer.arm(absl::Seconds(1));
  EXPECT_FALSE(timer.is_armed());
  Timer late = link.connection.timer([](Connection&) { ADD_FAILURE(); });
  late.arm(absl::Seconds(1));
  EXPECT_FALSE(late.is_armed());
  EXPECT_FALSE(late.cancel());
  clock_.advance(absl::Hours(1));
  timer_fence(runtime);
}

TEST_P(TimerTest, ACancelInTheConnectionsOrderIsCertain) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  for (int round = 0; round < 20; ++round) {
    Timer timer = link.connection.timer([](Connection&) { ADD_FAILURE() << "cancelled"; });
    timer.arm(absl::Seconds(1));
    absl::Notification done;
    // The timer comes due while this callback runs: its mail is there before the cancel.
    ASSERT_TRUE(link.connection
                    .post([&](Connection&) {
                      clock_.advance(absl::Seconds(1));
                      EXPECT_TRUE(timer.cancel());
                      done.Notify();
                    })
                    .ok());
    done.WaitForNotification();
    fence(link.connection);
  }
  link.connection.abort();
  (void)observer.await_closed();
}

TEST_P(TimerTest, F42AThrowingTimerOfAConnectionAbortsItAlone) {
  Observer observer;
  Observer other;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  Link bystander = open_link(runtime, other);
  Timer timer = link.connection.timer([](Connection&) { throw std::runtime_error("on purpose"); });
  timer.arm(absl::Seconds(1));
  clock_.advance(absl::Seconds(1));
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(bystander.connection.is_open());
  bystander.connection.abort();
  (void)other.await_closed();
}

TEST_P(TimerTest, ATimerThatIsArmedWhileItsConnectionEndsIsNotArmedAfterwards) {
  for (int round = 0; round < 20; ++round) {
    Observer observer;
    DrivenRuntime runtime(options());
    Link link = open_link(runtime, observer);
    Timer timer = link.connection.timer([](Connection&) {});
    std::atomic<bool> is_over{false};
    absl::Notification under_way;
    std::thread armer([&] {
      timer.arm(absl::Hours(1));
      under_way.Notify();
      while (!is_over.load()) timer.arm(absl::Hours(1));
    });
    under_way.WaitForNotification();
    link.connection.abort();
    (void)observer.await_closed();
    is_over = true;
    armer.join();
    EXPECT_FALSE(timer.is_armed());
    EXPECT_EQ(runtime.counters().timers_armed, 0u);
  }
}

TEST_P(TimerTest, AnIdleRuntimeStaysAsleepHoweverMuchTimePasses) {
  constexpr std::size_t kLinks = 10;
  std::vector<std::unique_ptr<Observer>> observers;
  DrivenRuntime runtime(options());
  Timer far = runtime.post_after(absl::Hours(1000), [] {});
  ConnectionOptions with_timeout;
  with_timeout.idle_timeout = absl::Hours(1);
  std::vector<Link> links;
  for (std::size_t i = 0; i < kLinks; ++i) {
    observers.push_back(std::make_unique<Observer>());
    links.push_back(open_link(runtime, *observers.back(), with_timeout));
    fence(links.back().connection);
  }
  timer_fence(runtime);
  clock_.await_waiters();
  const Counters before = runtime.counters();
  for (int i = 0; i < 59; ++i) {
    clock_.advance(absl::Minutes(1));
    clock_.await_waiters();  // a step while it is about to wait would make it look again
  }
  const Counters after = runtime.counters();
  EXPECT_LE(after.polls - before.polls, 4u);  // turns of before that were still under way
  for (const char* call : {"recvfrom", "sendto", "epoll_ctl"}) {
    EXPECT_EQ(after.system_call(call), before.system_call(call)) << call;
  }
  clock_.advance(absl::Minutes(1));
  for (std::size_t i = 0; i < kLinks; ++i) {
    EXPECT_EQ(links[i].peer.end(), 0);
    links[i].peer.close();
    EXPECT_EQ(observers[i]->await_closed().code(), absl::StatusCode::kDeadlineExceeded);
  }
}

// -- What timers cost. --

class TimerWakeTest : public RuntimeTest {};

INSTANTIATE_TEST_SUITE_P(Epoll, TimerWakeTest, testing::ValuesIn(epoll_modes()), mode_name);

TEST_P(TimerWakeTest, F21ThePollThreadIsWokenOnlyForAnEarlierDeadline) {
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  DrivenRuntime runtime(options());
  hold.await();
  const auto wakes = [&] { return runtime.counters().wakes; };
  Timer first = runtime.timer([] {});
  Timer second = runtime.timer([] {});
  first.arm(absl::Hours(2));
  EXPECT_EQ(wakes(), 1u);  // and it stays awake, or woken, from here on
  for (int i = 0; i < 100; ++i) {
    second.arm(absl::Hours(1));
    first.arm(absl::Hours(3));
    second.cancel();
  }
  EXPECT_EQ(wakes(), 1u);
  hold.release();
}

TEST_P(TimerWakeTest, ArmingLaterAndCancellingNeverWakesThePollThread) {
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  DrivenRuntime runtime(options());
  hold.await();
  Timer timer = runtime.timer([] {});
  Timer later = runtime.timer([] {});
  timer.arm(absl::Hours(1));
  Hold again(kernel_, KernelCall::kEpollWait, Hold::before);
  hold.release();
  again.await();  // it knows of the deadline now and is about to wait for it
  const std::uint64_t before = runtime.counters().wakes;
  for (int i = 1; i <= 100; ++i) {
    timer.arm(absl::Hours(1 + i));  // as an idle timeout is put off by every byte
    later.arm(absl::Hours(500));
    later.cancel();
  }
  EXPECT_EQ(runtime.counters().wakes, before);
  timer.arm(absl::Minutes(1));
  EXPECT_EQ(runtime.counters().wakes, before + 1);
  again.release();
}

TEST_P(TimerWakeTest, F23ATimerFiresAtItsTimeThoughSignalsInterruptTheWait) {
  kernel_.use_manual_clock();
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  absl::Notification fired;
  DrivenRuntime runtime(options());
  hold.await();
  // As under a profiler: a tenth of the time passes, then a signal.
  kernel_.fail(KernelCall::kEpollWait, EINTR, /*k=*/1, /*times=*/10);
  kernel_.before(KernelCall::kEpollWait,
                 [&](const FaultKernel::Call&) { kernel_.advance(absl::Milliseconds(100)); });
  const std::int64_t start = kernel_.now();
  std::int64_t fired_at = 0;
  Timer timer = runtime.post_after(absl::Seconds(1), [&] {
    fired_at = kernel_.now();
    fired.Notify();
  });
  hold.release();  // this wait ends at once, for the timer
  fired.WaitForNotification();
  EXPECT_GE(fired_at - start, 1'000'000'000);
  EXPECT_LE(fired_at - start, 1'200'000'000);
  EXPECT_LE(runtime.counters().polls, 4u);
}

}  // namespace
}  // namespace epore
