// Runtime::order(): what never overlaps, in which sequence, and how it ends.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
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

// What callbacks of one order share: plain words, so that ThreadSanitizer sees an overlap, too.
class Shared {
 public:
  explicit Shared(Order order = {}) : order_(std::move(order)) {}
  void set_order(Order order) { order_ = std::move(order); }

  // One callback.
  void visit() {
    EXPECT_TRUE(order_.is_current());
    EXPECT_FALSE(is_inside_.exchange(true)) << "two callbacks at a time";
    ++visits_;
    EXPECT_TRUE(is_inside_.exchange(false));
  }

  // In the order, or after the shutdown.
  int visits() const { return visits_; }

 private:
  Order order_;
  std::atomic<bool> is_inside_{false};
  int visits_ = 0;
};

// Returns when what was posted to the order before has run.
void fence(const Order& order) {
  absl::Notification reached;
  ASSERT_TRUE(order.post([&] { reached.Notify(); }).ok());
  reached.WaitForNotification();
}

ListenOptions in(const Order& order) {
  ListenOptions options;
  options.order = order;
  return options;
}

class OrderTest : public RuntimeTest {
 protected:
  RuntimeOptions options(int reactors = 1) {
    RuntimeOptions options = RuntimeTest::options();
    options.reactors = options.dispatch == Dispatch::caller ? 1 : reactors;
    return options;
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, OrderTest, testing::ValuesIn(every_mode()), mode_name);

TEST_P(OrderTest, AClosureRunsInTheOrderAndNotInsideThePost) {
  DrivenRuntime runtime(options());
  const Order order = runtime.order();
  EXPECT_FALSE(order.is_current());
  std::thread::id where;
  bool was_inside = true;
  bool is_inside = false;
  ASSERT_TRUE(order
                  .post([&] {
                    is_inside = true;
                    EXPECT_TRUE(order.is_current());
                    where = std::this_thread::get_id();
                    EXPECT_TRUE(order.post([&] { was_inside = is_inside; }).ok());
                    EXPECT_TRUE(order.post([] {}).ok());
                    is_inside = false;
                  })
                  .ok());
  fence(order);
  fence(order);
  EXPECT_NE(where, std::this_thread::get_id());
  EXPECT_FALSE(was_inside);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().posts, 5u);
}

TEST_P(OrderTest, WhatAThreadPostsRunsInTheOrderOfItsCalls) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  DrivenRuntime runtime(options(2));
  const Order order = runtime.order();
  std::vector<int> next(kThreads, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        ASSERT_TRUE(
            order.post([&next, t, i] { EXPECT_EQ(next[static_cast<std::size_t>(t)]++, i); }).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(next, std::vector<int>(kThreads, kPosts));
}

// Also what the order itself posts keeps its place behind what came from elsewhere before.
TEST_P(OrderTest, APostFromWithinComesAfterWhatOthersPostedBefore) {
  DrivenRuntime runtime(options());
  const Order order = runtime.order();
  std::vector<int> ran;
  absl::Notification inside, posted;
  ASSERT_TRUE(order
                  .post([&] {
                    inside.Notify();
                    posted.WaitForNotification();
                    EXPECT_TRUE(order.post([&] { ran.push_back(2); }).ok());
                  })
                  .ok());
  inside.WaitForNotification();
  ASSERT_TRUE(order.post([&] { ran.push_back(1); }).ok());
  posted.Notify();
  fence(order);  // behind both or between them
  fence(order);
  EXPECT_EQ(ran, (std::vector<int>{1, 2}));
}

// The whole: connections of a listener on two reactors, one that was connected, timers, posts from
// outside and from a connection's order.
TEST_P(OrderTest, NoTwoCallbacksOfAnOrderOverlap) {
  constexpr int kPeers = 8;
  constexpr int kMessages = 30;
  Shared shared;
  int echoed = 0;
  int closed = 0;
  std::atomic<int> ticks{0};
  std::optional<DrivenRuntime> runtime(std::in_place, options(2));
  const Order order = runtime->order();
  shared.set_order(order);
  const Listener listener = listen_on_loopback(
      *runtime,
      [&](Connection& peer) {
        shared.visit();
        peer.on_data([&](Connection& c, std::span<const std::byte> bytes) {
          shared.visit();
          ++echoed;
          c.send(bytes);
          EXPECT_TRUE(c.post([&](Connection&) { shared.visit(); }).ok());
          c.timer([&](Connection&) { shared.visit(); }).arm(absl::ZeroDuration());
        });
        peer.on_read_closed([&](Connection& c) {
          shared.visit();
          c.close();
        });
        peer.on_closed([&](Connection&, const absl::Status& why) {
          shared.visit();
          EXPECT_TRUE(why.ok()) << why;
          ++closed;
        });
      },
      in(order));
  Timer tick = order.timer([&] {
    shared.visit();
    ticks.fetch_add(1);
  });
  tick.arm_every(absl::Microseconds(100));
  std::vector<std::thread> threads;
  for (int i = 0; i < kPeers; ++i) {
    threads.emplace_back([&] {
      Peer peer(listener.address());
      for (int message = 0; message < kMessages; ++message) {
        peer.send("x");
        EXPECT_TRUE(order.post([&] { shared.visit(); }).ok());
        order.post_after(absl::Microseconds(10), [&] { shared.visit(); });
        EXPECT_EQ(peer.receive(1), "x");
      }
      peer.half_close();
      EXPECT_EQ(peer.end(), 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  absl::Notification ended;
  std::function<void()> wait = [&] {
    if (closed == kPeers && ticks.load() > 0) {
      ended.Notify();
    } else {
      EXPECT_TRUE(order.post(wait).ok());
    }
  };
  EXPECT_TRUE(order.post(wait).ok());
  ended.WaitForNotification();
  runtime.reset();
  EXPECT_EQ(closed, kPeers);
  EXPECT_GT(echoed, 0);
  EXPECT_LE(echoed, kPeers * kMessages);
  EXPECT_GE(shared.visits(), 3 * kPeers + 2 * echoed);
}

TEST_P(OrderTest, ConnectCallsBackInTheOrderAndItsConnectionStaysThere) {
  Observer observer;
  Shared shared;
  absl::Notification connected, refused, served;
  DrivenRuntime runtime(options(2));
  const Order order = runtime.order();
  shared.set_order(order);
  const Listener listener = listen_on_loopback(runtime, [&](Connection& peer) { peer.send("hi"); });
  ConnectOptions connect;
  connect.order = order;
  observer.when_data = [&](Connection& c, std::string_view) {
    shared.visit();
    c.close();
  };
  observer.when_closed = [&](Connection&, const absl::Status&) { shared.visit(); };
  runtime.connect(
      listener.address().to_string(),
      [&](absl::StatusOr<Connection> connection) {
        shared.visit();
        ASSERT_TRUE(connection.ok()) << connection.status();
        observer.watch(*connection);
        connected.Notify();
      },
      connect);
  connected.WaitForNotification();
  EXPECT_TRUE(observer.await_closed().ok());
  runtime.connect(
      "no address",
      [&](const absl::StatusOr<Connection>& connection) {
        shared.visit();
        EXPECT_EQ(connection.status().code(), absl::StatusCode::kInvalidArgument);
        refused.Notify();
      },
      connect);
  refused.WaitForNotification();
}

// Where no thread of the runtime is left, it runs in the call: then the order does.
TEST_P(OrderTest, ConnectOfARuntimeThatIsShutDownCallsBackInTheOrder) {
  int calls = 0;
  DrivenRuntime runtime(options());
  ConnectOptions connect;
  connect.order = runtime.order();
  EXPECT_TRUE(runtime.shutdown().ok());
  runtime.connect(
      "127.0.0.1:1",
      [&](const absl::StatusOr<Connection>& connection) {
        EXPECT_TRUE(connect.order.is_current());
        EXPECT_EQ(connection.status().code(), absl::StatusCode::kCancelled);
        ++calls;
      },
      connect);
  EXPECT_EQ(calls, 1);
}

// A run of an order may find nothing to run. It is no run for what the poll thread estimates from
// their number, wherever in its count that comes.
TEST(OrderEstimateTest, ARunThatFindsNothingDoesNotCount) {
  ClockKernel kernel;
  kernel.set_processors(2);
  RuntimeOptions options;
  options.workers = 2;
  options.kernel = &kernel;
  DrivenRuntime runtime(options);
  const Order order = runtime.order();
  const Order other = runtime.order();
  for (int before = 0; before < 16; ++before) {
    absl::Notification held, posted, inside, woken, done;
    ASSERT_TRUE(runtime
                    .post([&] {
                      held.Notify();
                      posted.WaitForNotification();
                    })
                    .ok());
    held.WaitForNotification();
    for (int i = 0; i < before; ++i) ASSERT_TRUE(runtime.post([] {}).ok());
    ASSERT_TRUE(
        order
            .post([&] {
              inside.Notify();
              woken.WaitForNotification();
              // Takes what woke the order, so that its next run finds nothing.
              EXPECT_TRUE(order.post([] {}).ok());
              EXPECT_TRUE(
                  runtime.post([&] { EXPECT_TRUE(other.post([&] { done.Notify(); }).ok()); }).ok());
            })
            .ok());
    posted.Notify();
    inside.WaitForNotification();
    ASSERT_TRUE(order.post([] {}).ok());
    woken.Notify();
    done.WaitForNotification();
    fence(other);
  }
}

TEST_P(OrderTest, TwoOrdersRunBesideEachOther) {
  if (GetParam().dispatch == Dispatch::poll_thread || GetParam().dispatch == Dispatch::caller)
    GTEST_SKIP() << "one thread";
  absl::Notification first_in, second_in;
  DrivenRuntime runtime(options());
  const Order first = runtime.order();
  const Order second = runtime.order();
  EXPECT_NE(first, second);
  ASSERT_TRUE(first
                  .post([&] {
                    first_in.Notify();
                    second_in.WaitForNotification();
                  })
                  .ok());
  first_in.WaitForNotification();
  ASSERT_TRUE(second.post([&] { second_in.Notify(); }).ok());
  fence(first);
}

// What a blocked callback holds up is its order: not other connections, nor another order's.
TEST_P(OrderTest, ABlockedCallbackHoldsUpItsOrderOnly) {
  if (GetParam().dispatch == Dispatch::poll_thread || GetParam().dispatch == Dispatch::caller)
    GTEST_SKIP() << "one thread";
  Observer member, other;
  std::atomic<bool> is_held{true};
  absl::Notification inside, release;
  member.when_data = [&](Connection&, std::string_view) { EXPECT_FALSE(is_held.load()); };
  other.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  DrivenRuntime runtime(options());
  const Order order = runtime.order();
  Link in_order = open_link(runtime, member, in(order));
  Link free = open_link(runtime, other);
  ASSERT_TRUE(order
                  .post([&] {
                    inside.Notify();
                    release.WaitForNotification();
                    is_held = false;
                  })
                  .ok());
  inside.WaitForNotification();
  in_order.peer.send("x");
  for (int i = 0; i < 20; ++i) {
    free.peer.send("ping");
    EXPECT_EQ(free.peer.receive(4), "ping");
    fence(runtime);
  }
  release.Notify();
  member.await_bytes(1);
}

// The same where its callbacks are a connection's, again and again.
TEST_P(OrderTest, AConnectionThatBlocksInItsOrderHoldsUpNoOther) {
  if (GetParam().dispatch == Dispatch::poll_thread || GetParam().dispatch == Dispatch::caller)
    GTEST_SKIP() << "one thread";
  Observer member, other;
  absl::Mutex held;
  member.when_data = [&](Connection&, std::string_view) { absl::MutexLock lock(&held); };
  other.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  DrivenRuntime runtime(options());
  Link in_order = open_link(runtime, member, in(runtime.order()));
  Link free = open_link(runtime, other);
  for (std::size_t i = 1; i <= 5; ++i) {
    held.Lock();
    in_order.peer.send("x");
    for (int pings = 0; pings < 3; ++pings) {
      free.peer.send("ping");
      EXPECT_EQ(free.peer.receive(4), "ping");
    }
    held.Unlock();
    member.await_bytes(i);
  }
}

// The run that an event has begun is a run as every other one: what comes for the order meanwhile
// waits for its end, on whichever thread.
TEST_P(OrderTest, WhileAnEventRunsTheOrderAllElseOfItWaits) {
  if (GetParam().dispatch == Dispatch::poll_thread || GetParam().dispatch == Dispatch::caller)
    GTEST_SKIP() << "one thread";
  Observer blocking, waiting, other;
  Shared shared;
  std::atomic<bool> is_held{true};
  absl::Notification inside, release;
  blocking.when_data = [&](Connection&, std::string_view) {
    shared.visit();
    inside.Notify();
    release.WaitForNotification();
    is_held = false;
  };
  waiting.when_data = [&](Connection&, std::string_view) {
    shared.visit();
    EXPECT_FALSE(is_held.load());
  };
  other.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options(2));
  const Order order = runtime.order();
  shared.set_order(order);
  Link first = open_link(runtime, blocking, in(order));
  Link second = open_link(runtime, waiting, in(order));
  Link free = open_link(runtime, other);
  fence(order);
  first.peer.send("x");
  inside.WaitForNotification();
  ASSERT_TRUE(order
                  .post([&] {
                    shared.visit();
                    EXPECT_FALSE(is_held.load());
                  })
                  .ok());
  second.peer.send("x");
  for (int i = 0; i < 20; ++i) {
    free.peer.send("ping");
    EXPECT_EQ(free.peer.receive(4), "ping");
    fence(runtime);
  }
  release.Notify();
  waiting.await_bytes(1);
  fence(order);
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_EQ(shared.visits(), 3);
}

// An order that always has something to run lets connections have their turn.
TEST_P(OrderTest, AnOrderThatGoesOnPostingLeavesOthersTheirTurn) {
  Observer observer;
  std::atomic<bool> is_over{false};
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Order order;
  std::function<void()> again = [&] {
    if (!is_over) (void)order.post(again);
  };
  DrivenRuntime runtime(options());
  order = runtime.order();
  ASSERT_TRUE(order.post(again).ok());
  ASSERT_TRUE(order.post(again).ok());
  Link link = open_link(runtime, observer);
  for (int i = 0; i < 10; ++i) {
    link.peer.send("ping");
    EXPECT_EQ(link.peer.receive(4), "ping");
  }
  is_over = true;
  link.peer.close();
}

// By the time that its callbacks took, not only by their number.
TEST_P(OrderTest, AnOrderOfLongCallbacksLeavesOthersTheirTurnSooner) {
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
  Order order;
  std::optional<Link> link;
  std::function<void()> again = [&] {
    if (++ran == 1) link->peer.send("x");
    clock.advance(absl::Milliseconds(1));
    if (!served.HasBeenNotified()) (void)order.post(again);
  };
  DrivenRuntime runtime(with_clock);
  order = runtime.order();
  link.emplace(open_link(runtime, observer));
  fence(runtime);
  ASSERT_TRUE(order.post(again).ok());
  served.WaitForNotification();
  EXPECT_LE(before, 20);
  link.reset();  // the clock stands still, so no timeout would end it
}

TEST_P(OrderTest, ATimerCancelledInItsOrderIsNotCalled) {
  DrivenRuntime runtime(options());
  const Order order = runtime.order();
  int calls = 0;
  absl::Notification done;
  Timer victim = order.timer([&] { ++calls; });
  Timer killer = order.timer([&] {
    // Both are due: this one was armed first.
    EXPECT_TRUE(victim.cancel());
    EXPECT_FALSE(victim.is_armed());
    EXPECT_TRUE(order.post([&] { done.Notify(); }).ok());
  });
  ASSERT_TRUE(order
                  .post([&] {
                    killer.arm(absl::ZeroDuration());
                    victim.arm(absl::ZeroDuration());
                  })
                  .ok());
  done.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(calls, 0);
}

TEST_P(OrderTest, TimersFireInTheOrderUntilTheyAreCancelled) {
  DrivenRuntime runtime(options(2));
  const Order order = runtime.order();
  Shared shared(order);
  absl::Notification five, once;
  Timer tick = order.timer([&] {
    shared.visit();
    if (shared.visits() < 5) return;
    EXPECT_TRUE(tick.cancel());
    five.Notify();
  });
  ASSERT_TRUE(order.post([&] { tick.arm_every(absl::Microseconds(1)); }).ok());
  five.WaitForNotification();
  EXPECT_FALSE(tick.is_armed());
  order.post_after(absl::ZeroDuration(), [&] {
    shared.visit();
    once.Notify();
  });
  once.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(shared.visits(), 6);
  EXPECT_EQ(runtime.counters().timers_fired, 6u);
}

// What it captured is destroyed in the order as well.
TEST_P(OrderTest, AClosureIsDestroyedInTheOrder) {
  DrivenRuntime runtime(options());
  const Order order = runtime.order();
  Shared shared(order);
  const auto captured = [&] {
    return std::shared_ptr<int>(new int(0), [&](const int* number) {
      delete number;
      shared.visit();
    });
  };
  ASSERT_TRUE(order.post([number = captured()] {}).ok());
  ASSERT_TRUE(order
                  .post([&] {  // where the timer's last handle is dropped before it is due
                    order.post_after(absl::ZeroDuration(), [number = captured()] {});
                  })
                  .ok());
  EXPECT_TRUE(order.post([] { throw std::runtime_error("of a closure"); }).ok());
  absl::Notification fired;
  order.post_after(absl::Milliseconds(1), [&] { fired.Notify(); });
  fired.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(shared.visits(), 2);
  EXPECT_EQ(runtime.counters().callback_exceptions, 1u);
}

TEST_P(OrderTest, WhatAnAcceptCallbackCapturedIsDestroyedInTheOrder) {
  absl::Notification destroyed;
  DrivenRuntime runtime(options(2));
  const Order order = runtime.order();
  auto captured = std::shared_ptr<int>(new int(0), [&](const int* number) {
    EXPECT_TRUE(order.is_current());
    delete number;
    destroyed.Notify();
  });
  Listener listener = listen_on_loopback(
      runtime, [captured = std::move(captured)](Connection&) {}, in(order));
  listener.close();
  destroyed.WaitForNotification();
}

TEST_P(OrderTest, ACallbackThatThrowsAbortsItsConnectionAndNoOther) {
  Observer bad, good;
  bad.when_data = [](Connection&, std::string_view) { throw std::runtime_error("bad"); };
  good.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  DrivenRuntime runtime(options());
  const Order order = runtime.order();
  Link one = open_link(runtime, bad, in(order));
  Link two = open_link(runtime, good, in(order));
  one.peer.send("x");
  EXPECT_EQ(bad.await_closed().code(), absl::StatusCode::kInternal);
  two.peer.send("ping");
  EXPECT_EQ(two.peer.receive(4), "ping");
}

// In its own callbacks, in those of another connection of its order, and from elsewhere.
TEST_P(OrderTest, ConnectionsCloseInTheirOrder) {
  Observer one, two;
  Shared shared;
  DrivenRuntime runtime(options(2));
  const Order order = runtime.order();
  shared.set_order(order);
  one.when_closed = two.when_closed = [&](Connection&, const absl::Status&) { shared.visit(); };
  Link first = open_link(runtime, one, in(order));
  Link second = open_link(runtime, two, in(order));
  one.when_data = [&](Connection& c, std::string_view) {
    second.connection.send("bye");
    second.connection.close();
    EXPECT_EQ(two.closed(), 0);  // not inside this callback
    c.abort();
  };
  first.peer.send("x");
  EXPECT_EQ(one.await_closed().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(second.peer.receive_all(), "bye");
  second.peer.close();
  EXPECT_TRUE(two.await_closed().ok());
}

TEST_P(OrderTest, HandlesMayBeDroppedWhileItRuns) {
  DrivenRuntime runtime(options());
  absl::Notification inside, dropped;
  int ran = 0;
  Observer observer;
  std::optional<Link> link;
  {
    Order order = runtime.order();
    ASSERT_TRUE(order
                    .post([&] {
                      inside.Notify();
                      dropped.WaitForNotification();
                      ++ran;
                    })
                    .ok());
    ASSERT_TRUE(order.post([&] { ++ran; }).ok());
    inside.WaitForNotification();
  }
  dropped.Notify();
  link.emplace(open_link(runtime, observer, in(runtime.order())));
  link->peer.send("x");
  observer.await_bytes(1);
  link->peer.close();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(ran, 2);
}

TEST_P(OrderTest, AHandleOutlivesTheRuntime) {
  Order order, copy;
  Timer timer;
  {
    DrivenRuntime runtime(options());
    order = copy = runtime.order();
    timer = order.timer([] { ADD_FAILURE(); });
    EXPECT_EQ(order, copy);
    EXPECT_EQ(absl::HashOf(order), absl::HashOf(copy));
    fence(order);
  }
  EXPECT_EQ(order.post([] { ADD_FAILURE(); }).code(), absl::StatusCode::kFailedPrecondition);
  timer.arm(absl::ZeroDuration());
  EXPECT_FALSE(timer.is_armed());
  order.post_after(absl::ZeroDuration(), [] { ADD_FAILURE(); });
  EXPECT_FALSE(order.is_current());
}

TEST_P(OrderTest, WhatIsWrongIsSaid) {
  DrivenRuntime runtime(options());
  DrivenRuntime other(options());
  const Order order = runtime.order();
  EXPECT_EQ(order.post(nullptr).code(), absl::StatusCode::kInvalidArgument);
  order.timer(nullptr).arm(absl::ZeroDuration());
  order.post_after(absl::ZeroDuration(), nullptr);
  EXPECT_EQ(Order().post([] { ADD_FAILURE(); }).code(), absl::StatusCode::kFailedPrecondition);
  Order().timer([] { ADD_FAILURE(); }).arm(absl::ZeroDuration());
  EXPECT_EQ(other
                .listen(
                    "127.0.0.1:0", [](Connection&) {}, in(order))
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  absl::Notification refused;
  ConnectOptions connect;
  connect.order = order;
  other.connect(
      "127.0.0.1:1",
      [&](const absl::StatusOr<Connection>& connection) {
        EXPECT_EQ(connection.status().code(), absl::StatusCode::kInvalidArgument);
        refused.Notify();
      },
      connect);
  refused.WaitForNotification();
}

TEST(OrderWithoutRuntimeTest, ARuntimeThatCouldNotBeMadeGivesAnOrderThatRefuses) {
  RuntimeOptions options;
  options.reactors = -1;
  DrivenRuntime runtime(options);
  EXPECT_EQ(runtime.order().post([] { ADD_FAILURE(); }).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(runtime.order(), Order());
}

// Posts that were accepted run, each connection gets its `closed`, and timers are dropped, with
// what they captured.
TEST_P(OrderTest, AShutdownLosesNothingOfAFullOrder) {
  constexpr int kPosts = 1000;
  constexpr std::size_t kLinks = 5;
  int ran = 0;
  absl::Notification inside, release;
  std::vector<std::unique_ptr<Observer>> observers;
  std::vector<Link> links;
  std::weak_ptr<int> watched;
  {
    DrivenRuntime runtime(options(2));
    const Order order = runtime.order();
    for (std::size_t i = 0; i < kLinks; ++i) {
      observers.push_back(std::make_unique<Observer>());
      links.push_back(open_link(runtime, *observers.back(), in(order)));
    }
    ASSERT_TRUE(order
                    .post([&] {
                      inside.Notify();
                      release.WaitForNotification();
                    })
                    .ok());
    inside.WaitForNotification();
    for (int i = 0; i < kPosts; ++i) ASSERT_TRUE(order.post([&] { ++ran; }).ok());
    for (Link& link : links) link.peer.send("x");
    auto self = std::make_shared<Timer>();
    auto number = std::make_shared<int>(0);
    watched = number;
    *self = order.timer([self, number = std::move(number)] { ADD_FAILURE(); });
    self->arm(absl::Hours(1));
    std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
    release.Notify();
    for (Link& link : links) link.peer.close();
    shutdown.join();
  }
  EXPECT_EQ(ran, kPosts);
  EXPECT_TRUE(watched.expired());
  for (const std::unique_ptr<Observer>& observer : observers) EXPECT_EQ(observer->closed(), 1);
}

// Whoever posts while it ends is told the truth: what was accepted has run when the shutdown
// returns, what was refused never does.
TEST_P(OrderTest, APostIsEitherRunOrRefusedWhileTheRuntimeEnds) {
  constexpr int kThreads = 3;
  DrivenRuntime runtime(options(2));
  const Order order = runtime.order();
  int ran = 0;
  std::atomic<int> accepted{0};
  absl::BlockingCounter begun(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int posts = 0;; ++posts) {
        if (!order.post([&] { ++ran; }).ok()) return;
        accepted.fetch_add(1);
        if (posts == 100) begun.DecrementCount();
      }
    });
  }
  begun.Wait();
  EXPECT_TRUE(runtime.shutdown().ok());
  const int at_the_end = ran;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(at_the_end, accepted.load());
  EXPECT_EQ(ran, at_the_end);
}

class OrderCostTest : public RuntimeTest {};

INSTANTIATE_TEST_SUITE_P(Epoll, OrderCostTest, testing::ValuesIn(epoll_modes()), mode_name);

// An echo costs one receive, one send and a poll for each batch, as without an order, and wakes
// nobody: where its connection became ready the order runs.
TEST_P(OrderCostTest, AnEchoCostsNoSystemCallMore) {
  constexpr std::size_t kEchoes = 100;
  ClockKernel clock(system_);  // nobody is relieved; the poll thread would wake its relief
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  RuntimeOptions with_clock = options();
  with_clock.kernel = &clock;
  DrivenRuntime runtime(with_clock);
  Link link = open_link(runtime, observer, in(runtime.order()));
  link.peer.send("x");
  EXPECT_EQ(link.peer.receive(1), "x");
  const Counters before = runtime.counters();
  for (std::size_t i = 0; i < kEchoes; ++i) {
    link.peer.send("x");
    EXPECT_EQ(link.peer.receive(1), "x");
  }
  const Counters after = runtime.counters();
  const auto calls = [&](const char* name) {
    return after.system_call(name) - before.system_call(name);
  };
  EXPECT_EQ(calls("sendto"), kEchoes);
  EXPECT_EQ(calls("recvfrom"), kEchoes);
  EXPECT_EQ(calls("epoll_ctl"), 0u);
  EXPECT_EQ(after.wakes, before.wakes);
}

// Not behind what other events of the same poll submit.
TEST_P(OrderCostTest, AnEventRunsAnIdleOrderAtOnce) {
  if (GetParam().dispatch == Dispatch::workers) GTEST_SKIP() << "workers run it";
  ClockKernel clock;             // whose watchdog never ticks and sends a second thread
  std::vector<std::string> ran;  // on the poll thread
  absl::Notification done;
  Observer member, other;
  member.when_data = [&](Connection&, std::string_view) { ran.push_back("member"); };
  RuntimeOptions alone = options();
  alone.workers = 1;  // nobody shares the turn of the poll thread
  alone.kernel = &clock;
  Runtime runtime(alone);
  const Order order = runtime.order();
  other.when_data = [&](Connection&, std::string_view) {
    EXPECT_TRUE(runtime
                    .post([&] {
                      ran.push_back("submitted");
                      done.Notify();
                    })
                    .ok());
  };
  Link in_order = open_link(runtime, member, in(order));
  Link free = open_link(runtime, other);
  fence(order);
  fence(runtime);
  Hold hold(clock, KernelCall::kEpollWait, Hold::before);
  ASSERT_TRUE(runtime.post([] {}).ok());  // so that there is another wait
  hold.await();
  in_order.peer.send("x");
  free.peer.send("x");
  hold.release();
  done.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_EQ(ran, (std::vector<std::string>{"member", "submitted"}));
}

// Where the order has work already, an event takes its place behind it.
TEST_P(OrderCostTest, AnEventComesAfterWhatWasPostedToItsOrderBefore) {
  std::vector<int> ran;  // in the order
  Observer observer, other;
  observer.when_data = [&](Connection&, std::string_view) { ran.push_back(2); };
  Runtime runtime(options());
  const Order order = runtime.order();
  Link link = open_link(runtime, observer, in(order));
  Link free = open_link(runtime, other);
  fence(order);
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  free.peer.send("x");  // so that there is another wait
  hold.await();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(order.post([&ran, i] { ran.push_back(i); }).ok());
  link.peer.send("x");
  hold.release();
  observer.await_bytes(1);
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2}));
}

// A burst to an order is one wake at the most, however many closures.
TEST_P(OrderCostTest, ABurstOfPostsWhileThePollThreadSleepsCostsOneWakeOrNone) {
  constexpr int kPosts = 100;
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  DrivenRuntime runtime(options());
  const Order order = runtime.order();
  hold.await();
  absl::BlockingCounter ran(kPosts);
  for (int i = 0; i < kPosts; ++i) ASSERT_TRUE(order.post([&] { ran.DecrementCount(); }).ok());
  EXPECT_LE(runtime.counters().wakes, 1u);
  hold.release();
  ran.Wait();
}

}  // namespace
}  // namespace epore
