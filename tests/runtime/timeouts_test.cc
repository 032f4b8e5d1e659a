// Timeouts of connections, on a clock that the test moves.

#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"

namespace epore {
namespace {

class TimeoutsTest : public RuntimeTest {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options = RuntimeTest::options();
    options.workers = 1;  // so that a fence comes after what began before it
    options.kernel = &clock_;
    return options;
  }

  // Moves the clock, and lets the poll thread and the connection do what is due.
  void pass(Runtime& runtime, Connection connection, absl::Duration time) {
    fence(connection);  // in whose run timeouts may change, at its end
    fence(connection);
    clock_.advance(time);
    settle(runtime, connection);
  }

  // A timeout that is due takes two turns, and each may be behind a fence.
  void settle(Runtime& runtime, Connection connection) {
    for (int i = 0; i < 3; ++i) {
      fence(runtime);
      fence(connection);
    }
    fence(runtime);
  }

  // Returns when the poll thread has taken what is ready and due. Needs no worker.
  void await_turn(const Listener& listener) {
    struct Turn {
      std::atomic<bool> has_accepted{false};
      std::atomic<bool> was_told{false};
      absl::Notification over;
    };
    // The poll thread may be in a later call of a hook when the turn is over.
    const auto turn = std::make_shared<Turn>();
    clock_.after(KernelCall::kAccept, [turn](const FaultKernel::Call& call) {
      if (call.result.ok()) turn->has_accepted = true;
    });
    for (KernelCall wait : {KernelCall::kEpollWait, KernelCall::kPoll, KernelCall::kIoUringEnter}) {
      clock_.before(wait, [turn](const FaultKernel::Call&) {
        if (turn->has_accepted && !turn->was_told.exchange(true)) turn->over.Notify();
      });
    }
    const Peer peer(listener.address());
    turn->over.WaitForNotification();
    clock_.after(KernelCall::kAccept, nullptr);
    for (KernelCall wait : {KernelCall::kEpollWait, KernelCall::kPoll, KernelCall::kIoUringEnter}) {
      clock_.before(wait, nullptr);
    }
  }

  // Has the poll thread run `action` once, when its next wait for events has ended.
  void after_the_next_wait(std::function<void()> action) {
    const auto has_run = std::make_shared<std::atomic<bool>>(false);
    for (KernelCall wait : {KernelCall::kEpollWait, KernelCall::kPoll, KernelCall::kIoUringEnter}) {
      clock_.after(wait, [this, action, has_run](const FaultKernel::Call&) {
        if (has_run->exchange(true)) return;  // two threads may wait at once
        for (KernelCall any :
             {KernelCall::kEpollWait, KernelCall::kPoll, KernelCall::kIoUringEnter}) {
          clock_.after(any, nullptr);
        }
        action();
      });
    }
  }

  ClockKernel clock_;
};

constexpr absl::Duration kAlmost = absl::Nanoseconds(1);

ConnectionOptions idle_after(absl::Duration time) {
  ConnectionOptions options;
  options.idle_timeout = time;
  return options;
}

TEST_P(TimeoutsTest, AnIdleConnectionIsClosedGracefully) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, idle_after(absl::Seconds(10)));
  pass(runtime, link.connection, absl::Seconds(10) - kAlmost);
  EXPECT_TRUE(link.connection.is_open());
  clock_.advance(kAlmost);
  EXPECT_EQ(link.peer.end(), 0) << "the end of file, no reset";
  link.peer.close();
  const absl::Status why = observer.await_closed();
  EXPECT_EQ(why.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(why.message(), "idle for 10s");
}

TEST_P(TimeoutsTest, BytesInEitherDirectionKeepAConnection) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, idle_after(absl::Seconds(10)));
  std::size_t received = 0;
  for (int i = 0; i < 6; ++i) {
    pass(runtime, link.connection, absl::Seconds(9));
    ASSERT_TRUE(link.connection.is_open()) << "after " << i;
    if (i % 2 == 0) {
      link.peer.send("x");
      observer.await_bytes(++received);
    } else {
      link.connection.send("y");
      EXPECT_EQ(link.peer.receive(1), "y");
    }
  }
  pass(runtime, link.connection, absl::Seconds(10));
  EXPECT_FALSE(link.connection.is_open());
  link.peer.close();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kDeadlineExceeded);
}

// What the peer cannot know of is no traffic.
TEST_P(TimeoutsTest, CallbacksDoNotKeepAConnection) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, idle_after(absl::Seconds(10)));
  for (int i = 0; i < 9; ++i) pass(runtime, link.connection, absl::Seconds(1));
  EXPECT_TRUE(link.connection.is_open());
  pass(runtime, link.connection, absl::Seconds(1));
  EXPECT_FALSE(link.connection.is_open());
  link.peer.close();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kDeadlineExceeded);
}

// A peer whose bytes wait is held up, not idle.
TEST_P(TimeoutsTest, APausedConnectionIsIdleOnlyIfItsPeerIs) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, idle_after(absl::Seconds(10)),
                        [](Connection& c) { c.pause_reading(); });
  link.peer.send("x");
  fence(runtime);
  for (int i = 0; i < 5; ++i) {
    pass(runtime, link.connection, absl::Seconds(10));
    ASSERT_TRUE(link.connection.is_open()) << "after " << i;
  }
  link.connection.resume_reading();
  (void)observer.await_bytes(1);
  link.connection.pause_reading();
  pass(runtime, link.connection, absl::Seconds(10) - kAlmost);
  EXPECT_TRUE(link.connection.is_open());
  clock_.advance(kAlmost);
  EXPECT_EQ(link.peer.end(), 0);
  link.peer.close();
  EXPECT_EQ(observer.await_closed().message(), "idle for 10s");
}

TEST_P(TimeoutsTest, ReadingThatPausesByItselfIsNotIdle) {
  ConnectionOptions both = idle_after(absl::Seconds(10));
  both.write_stall_timeout = absl::Seconds(60);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, both,
                        [](Connection& c) { c.send(std::string(16'000'000, 'x')); });
  link.peer.send("x");
  while (runtime.counters().read_pauses == 0) std::this_thread::yield();
  for (int i = 0; i < 5; ++i) pass(runtime, link.connection, absl::Seconds(10));
  ASSERT_TRUE(link.connection.is_open());
  pass(runtime, link.connection, absl::Seconds(10));
  const absl::Status why = observer.await_closed();
  EXPECT_TRUE(absl::StrContains(why.message(), "queued bytes for 1m")) << why;
}

TEST_P(TimeoutsTest, BytesThatNobodyListensToDoNotKeepAConnection) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, idle_after(absl::Seconds(10)),
                        [](Connection& c) { c.on_data(nullptr); });
  link.peer.send("x");
  fence(runtime);
  pass(runtime, link.connection, absl::Seconds(10));
  EXPECT_FALSE(link.connection.is_open());
  EXPECT_EQ(link.peer.end(), 0);
  link.peer.close();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_P(TimeoutsTest, AnIdleConnectionMakesNoTurns) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, idle_after(absl::Hours(1)));
  fence(runtime);
  fence(link.connection);
  // What the fences left has been done when the poll thread is told nothing any more.
  clock_.await_waiters();
  const std::uint64_t polls = runtime.counters().polls;
  for (int i = 0; i < 59; ++i) {
    clock_.advance(absl::Minutes(1) - kAlmost);
    clock_.await_waiters();  // a step while it is about to wait would make it look again
  }
  EXPECT_LE(runtime.counters().polls - polls, 2u);
  clock_.advance(absl::Minutes(2));
  EXPECT_EQ(link.peer.end(), 0);
  link.peer.close();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_P(TimeoutsTest, APeerThatTakesNothingIsAborted) {
  ConnectionOptions stall;
  stall.write_stall_timeout = absl::Seconds(10);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, stall,
                        [](Connection& c) { c.send(std::string(16'000'000, 'x')); });
  pass(runtime, link.connection, absl::Seconds(10) - kAlmost);
  EXPECT_TRUE(link.connection.is_open());
  clock_.advance(kAlmost);
  const absl::Status why = observer.await_closed();
  EXPECT_EQ(why.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(why.message(), "queued bytes for 10s")) << why;
  EXPECT_EQ(link.peer.end(), ECONNRESET);
}

TEST_P(TimeoutsTest, APeerThatTakesSomeIsNot) {
  constexpr std::size_t kMuch = 32'000'000;
  constexpr std::size_t kSome = 6'000'000;
  ConnectionOptions stall;
  stall.write_stall_timeout = absl::Seconds(10);
  Observer observer;
  Runtime runtime(options());
  Link link =
      open_link(runtime, observer, stall, [](Connection& c) { c.send(std::string(kMuch, 'x')); });
  for (int i = 0; i < 4; ++i) {
    pass(runtime, link.connection, absl::Seconds(9));
    ASSERT_TRUE(link.connection.is_open());
    const std::size_t queued = link.connection.queued_bytes();
    link.peer.receive(kSome);
    while (queued > 0 && link.connection.queued_bytes() == queued) fence(link.connection);
  }
  link.peer.receive(kMuch - 4 * kSome);
  // Nothing is queued: nothing can stall.
  while (link.connection.queued_bytes() != 0) fence(link.connection);
  pass(runtime, link.connection, absl::Hours(1));
  EXPECT_TRUE(link.connection.is_open());
}

TEST_P(TimeoutsTest, AStallEndsAGracefulCloseToo) {
  ConnectionOptions stall;
  stall.write_stall_timeout = absl::Seconds(10);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, stall, [](Connection& c) {
    c.send(std::string(16'000'000, 'x'));
    c.close();
  });
  fence(link.connection);
  clock_.advance(absl::Seconds(10));
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(link.peer.end(), ECONNRESET);
}

TEST_P(TimeoutsTest, ACloseWaitsForThePeerForTheLingerTimeout) {
  ConnectionOptions linger;
  linger.linger_timeout = absl::Seconds(5);
  linger.idle_timeout = absl::Seconds(1);  // does not count while it closes
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, linger, [](Connection& c) {
    c.send("bye");
    c.close();
  });
  EXPECT_EQ(link.peer.receive_all(), "bye");
  pass(runtime, link.connection, absl::Seconds(5) - kAlmost);
  EXPECT_EQ(observer.closed(), 0);
  // Dribbling does not prolong it.
  link.peer.send("x");
  fence(runtime);
  clock_.advance(kAlmost);
  const absl::Status why = observer.await_closed();
  EXPECT_EQ(why.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(why.message(), "within 5s")) << why;
}

TEST_P(TimeoutsTest, ALingerTimeoutOfZeroDoesNotWait) {
  ConnectionOptions linger;
  linger.linger_timeout = absl::ZeroDuration();
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, linger, [](Connection& c) {
    c.send("bye");
    c.close();
  });
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(link.peer.receive_all(), "bye");
}

TEST_P(TimeoutsTest, TheTimeInACallbackIsNotIdle) {
  Observer observer;
  observer.when_data = [&](Connection& c, std::string_view) {
    clock_.advance(absl::Seconds(15));
    c.send("answer");
  };
  Runtime runtime(options());
  Link link = open_link(runtime, observer, idle_after(absl::Seconds(10)));
  for (int i = 0; i < 3; ++i) {
    link.peer.send("x");
    EXPECT_EQ(link.peer.receive(6), "answer");
    settle(runtime, link.connection);
    ASSERT_TRUE(link.connection.is_open()) << "after " << i;
  }
  pass(runtime, link.connection, absl::Seconds(10) - kAlmost);
  EXPECT_TRUE(link.connection.is_open());
  clock_.advance(kAlmost);
  EXPECT_EQ(link.peer.end(), 0);
  link.peer.close();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_P(TimeoutsTest, TheTimeInACallbackIsNoStall) {
  ConnectionOptions stall;
  stall.write_stall_timeout = absl::Seconds(10);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, stall, [&](Connection& c) {
    c.send(std::string(16'000'000, 'x'));
    clock_.advance(absl::Seconds(15));
  });
  settle(runtime, link.connection);
  ASSERT_TRUE(link.connection.is_open());
  pass(runtime, link.connection, absl::Seconds(10) - kAlmost);
  EXPECT_TRUE(link.connection.is_open());
  clock_.advance(kAlmost);
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_P(TimeoutsTest, TheTimeInACallbackIsNoLinger) {
  ConnectionOptions linger;
  linger.linger_timeout = absl::Seconds(5);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, linger, [&](Connection& c) {
    c.send("bye");
    c.close();
    clock_.advance(absl::Seconds(6));
  });
  EXPECT_EQ(link.peer.receive_all(), "bye");
  pass(runtime, link.connection, absl::Seconds(5) - kAlmost);
  EXPECT_EQ(observer.closed(), 0);
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

// As after a SIGSTOP: the process did not look while the bytes came.
TEST_P(TimeoutsTest, BytesThatCameInTimeAreReadBeforeTheTimeoutIsJudged) {
  constexpr std::size_t kConnections = 100;  // several batches of a ring that receives
  RuntimeOptions one_event = options();
  one_event.events_per_poll = 1;  // so that a single poll does not bring them all
  for (const RuntimeOptions& some : {options(), one_event}) {
    Observer observers[kConnections];
    Runtime runtime(some);
    std::vector<Link> links;
    for (Observer& observer : observers) {
      observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
      links.push_back(open_link(runtime, observer, idle_after(absl::Seconds(10))));
    }
    for (Link& link : links) fence(link.connection);
    fence(runtime);
    absl::Notification stopped;
    after_the_next_wait([&] {
      for (Link& link : links) link.peer.send("in time");
      clock_.advance(absl::Seconds(10));
      stopped.Notify();
    });
    fence(runtime);  // which ends the wait
    stopped.WaitForNotification();
    for (Link& link : links) EXPECT_EQ(link.peer.receive(7), "in time");
    settle(runtime, links.front().connection);
    settle(runtime, links.back().connection);
    for (const Link& link : links) EXPECT_TRUE(link.connection.is_open());
  }
}

TEST_P(TimeoutsTest, BytesThatCameInTimeAreReadBeforeTheLimitOfACoroutineIsJudged) {
  constexpr std::size_t kConnections = 100;
  RuntimeOptions one_event = options();
  one_event.events_per_poll = 1;
  for (const RuntimeOptions& some : {options(), one_event}) {
    Runtime runtime(some);
    const absl::StatusOr<Listener> listener =
        runtime.listen("127.0.0.1:0", [](Connection peer) -> Task<> {
          for (;;) {
            absl::StatusOr<ByteView> bytes =
                co_await within(absl::Seconds(10), peer.read()).result();
            if (!bytes.ok() || bytes->empty()) co_return;
            co_await peer.write(*bytes);
          }
        });
    ASSERT_TRUE(listener.ok());
    std::vector<Peer> peers;
    for (std::size_t i = 0; i < kConnections; ++i) {
      peers.emplace_back(listener->address());
      peers.back().send("begin");
    }
    for (Peer& peer : peers) EXPECT_EQ(peer.receive(5), "begin");
    fence(runtime);
    absl::Notification stopped;
    after_the_next_wait([&] {
      for (Peer& peer : peers) peer.send("in time");
      clock_.advance(absl::Seconds(10));
      stopped.Notify();
    });
    fence(runtime);  // which ends the wait
    stopped.WaitForNotification();
    for (Peer& peer : peers) EXPECT_EQ(peer.receive(7), "in time");
    fence(runtime);
    clock_.advance(absl::Seconds(20));
    for (Peer& peer : peers) EXPECT_EQ(peer.end(), 0);
  }
}

// Takes what the system has for the peer, and returns how much it was.
std::size_t receive_what_is_there(const Peer& peer) {
  std::string buffer(65'536, '\0');
  std::size_t count = 0;
  for (;;) {
    const ssize_t received = ::recv(peer.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (received <= 0) return count;
    count += static_cast<std::size_t>(received);
  }
}

TEST_P(TimeoutsTest, RoomThatCameInTimeIsUsedBeforeTheStallIsJudged) {
  constexpr std::size_t kMuch = 16'000'000;
  ConnectionOptions stall;
  stall.write_stall_timeout = absl::Seconds(10);
  Observer observer;
  Runtime runtime(options());
  Link link =
      open_link(runtime, observer, stall, [](Connection& c) { c.send(std::string(kMuch, 'x')); });
  fence(link.connection);
  std::size_t taken = 0;
  absl::Notification stopped;
  after_the_next_wait([&] {
    taken = receive_what_is_there(link.peer);
    clock_.advance(absl::Seconds(10));
    stopped.Notify();
  });
  fence(runtime);
  stopped.WaitForNotification();
  settle(runtime, link.connection);
  EXPECT_TRUE(link.connection.is_open());
  EXPECT_GT(taken, 0u);
  EXPECT_EQ(link.peer.receive(kMuch - taken).size(), kMuch - taken);
}

TEST_P(TimeoutsTest, AnEndThatCameInTimeIsSeenBeforeTheLingerIsJudged) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.close(); });
  EXPECT_EQ(link.peer.receive_all(), "");
  fence(runtime);
  after_the_next_wait([&] {
    link.peer.close();
    clock_.advance(absl::Seconds(5));
  });
  fence(runtime);
  EXPECT_TRUE(observer.await_closed().ok());
}

// The run that judges the linger also reads the end, because the one worker was busy before it.
TEST_P(TimeoutsTest, AnEndThatIsReadWithTheLingerOverIsNoTimeout) {
  if (GetParam().dispatch != Dispatch::workers) GTEST_SKIP() << "the poll thread is held as well";
  Observer observer;
  RuntimeOptions one_worker = options();
  one_worker.spare_workers = 0;
  Runtime runtime(one_worker);
  Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.close(); });
  EXPECT_EQ(link.peer.receive_all(), "");
  fence(runtime);
  absl::Notification first_is_held, second_is_held, first_may_end, second_may_end;
  const auto hold = [&runtime](absl::Notification& is_held, absl::Notification& may_end) {
    const auto held = [&] {
      is_held.Notify();
      may_end.WaitForNotification();
    };
    EXPECT_TRUE(runtime.post(held).ok());
  };
  hold(first_is_held, first_may_end);
  first_is_held.WaitForNotification();
  const Listener other = listen_on_loopback(runtime, [](Connection&) {});
  clock_.advance(absl::Seconds(5));
  await_turn(other);
  hold(second_is_held, second_may_end);  // behind the run that finds the linger over
  first_may_end.Notify();
  second_is_held.WaitForNotification();
  link.peer.close();
  await_turn(other);
  second_may_end.Notify();
  EXPECT_TRUE(observer.await_closed().ok());
}

// Where every poll brings as many events as it may, an idle connection still has its end.
TEST_P(TimeoutsTest, OtherConnectionsDoNotPutATimeoutOff) {
  RuntimeOptions one_event = options();
  one_event.events_per_poll = 1;
  Observer idle, busy;
  busy.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(one_event);
  Link link = open_link(runtime, idle, idle_after(absl::Seconds(10)));
  Link other = open_link(runtime, busy);
  std::atomic<bool> is_over{false};
  std::thread talker([&] {
    while (!is_over) {
      other.peer.send("ping");
      EXPECT_EQ(other.peer.receive(4), "ping");
    }
  });
  clock_.advance(absl::Seconds(10));
  EXPECT_EQ(link.peer.end(), 0);
  link.peer.close();
  EXPECT_EQ(idle.await_closed().code(), absl::StatusCode::kDeadlineExceeded);
  is_over = true;
  talker.join();
}

TEST_P(TimeoutsTest, TheIdleTimeoutCanBeChanged) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, idle_after(absl::Seconds(10)));
  fence(link.connection);
  clock_.advance(absl::Seconds(9));
  EXPECT_TRUE(link.connection.set_idle_timeout(absl::Minutes(1)).ok());
  pass(runtime, link.connection, absl::Minutes(1) - kAlmost);
  EXPECT_TRUE(link.connection.is_open());
  EXPECT_TRUE(link.connection.set_idle_timeout(absl::Seconds(2)).ok());
  pass(runtime, link.connection, absl::Seconds(2) - kAlmost);
  EXPECT_TRUE(link.connection.is_open());
  EXPECT_TRUE(link.connection.set_idle_timeout(absl::InfiniteDuration()).ok());
  pass(runtime, link.connection, absl::Hours(100));
  EXPECT_TRUE(link.connection.is_open());
  ASSERT_TRUE(
      link.connection
          .post([](Connection& c) { EXPECT_TRUE(c.set_idle_timeout(absl::Seconds(3)).ok()); })
          .ok());
  pass(runtime, link.connection, absl::Seconds(3));
  EXPECT_EQ(link.peer.end(), 0);
  link.peer.close();
  EXPECT_EQ(observer.await_closed().message(), "idle for 3s");
}

TEST_P(TimeoutsTest, TheWriteStallTimeoutCanBeChanged) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [](Connection& c) { c.send(std::string(16'000'000, 'x')); });
  EXPECT_TRUE(link.connection.set_write_stall_timeout(absl::Seconds(5)).ok());
  pass(runtime, link.connection, absl::Seconds(5));
  EXPECT_TRUE(absl::StrContains(observer.await_closed().message(), "queued bytes for 5s"));
}

TEST_P(TimeoutsTest, TheLingerTimeoutCanBeChanged) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  EXPECT_TRUE(link.connection.set_linger_timeout(absl::Seconds(1)).ok());
  link.connection.close();
  EXPECT_EQ(link.peer.receive_all(), "");
  pass(runtime, link.connection, absl::Seconds(1));
  EXPECT_TRUE(absl::StrContains(observer.await_closed().message(), "within 1s"));
}

TEST_P(TimeoutsTest, ATimeoutThatIsNoneIsRefused) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  const absl::Status zero = link.connection.set_idle_timeout(absl::ZeroDuration());
  EXPECT_EQ(zero, absl::InvalidArgumentError(
                      "Connection::set_idle_timeout: the timeout (0) must be more than zero"));
  EXPECT_EQ(link.connection.set_write_stall_timeout(-absl::Seconds(1)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(link.connection.set_linger_timeout(-absl::Seconds(1)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(link.connection.set_linger_timeout(absl::ZeroDuration()).ok());
  EXPECT_TRUE(Connection().set_idle_timeout(absl::Seconds(1)).ok());
  EXPECT_TRUE(link.connection.is_open());
}

TEST_P(TimeoutsTest, ADrainEndsWithItsTimeout) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [](Connection& c) { c.on_drain([](Connection&) {}); });
  std::thread stopper([&] { EXPECT_TRUE(runtime.shutdown(absl::Seconds(30)).ok()); });
  fence(link.connection);
  EXPECT_EQ(observer.closed(), 0);
  // The shutdown may have read the clock already or not: what is sure is that it ends.
  while (observer.closed() == 0) clock_.advance(absl::Seconds(10));
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
  stopper.join();
}

INSTANTIATE_TEST_SUITE_P(Everywhere, TimeoutsTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
