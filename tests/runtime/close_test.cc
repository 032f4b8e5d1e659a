// The ways in which a connection ends, and what each promises.

#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/hold.h"

namespace epore {
namespace {

using CloseTest = RuntimeTest;

TEST_P(CloseTest, CloseSendsWhatIsQueuedThenTheEndOfFile) {
  const std::string sent = pattern(8'000'000);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    c.send("first ");
    c.send(sent);
    c.close();
    EXPECT_FALSE(c.is_open());
    EXPECT_EQ(c.send("more"), SendResult::closed);
  });
  EXPECT_EQ(link.peer.receive(6), "first ");
  EXPECT_EQ(observer.closed(), 0);
  EXPECT_TRUE(link.peer.receive_all() == sent);
  EXPECT_EQ(observer.closed(), 0) << "it waits for the peer's end of file";
  link.peer.send("not read any more");
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(observer.bytes(), "");
  EXPECT_EQ(observer.read_closed(), 0);
}

// What the peer sends is read and dropped, so that it gets the end of file: but not for ever.
TEST_P(CloseTest, APeerThatSendsMoreThan64MibAfterTheCloseIsReset) {
  if (GetParam().selector != "epoll") return;  // bytes are counted above the engine
  for (const bool is_one_more : {false, true}) {
    ConnectionOptions patient;
    patient.linger_timeout = absl::InfiniteDuration();
    Observer observer;
    Runtime runtime(options());
    Link link = open_link(runtime, observer, patient, [](Connection& c) { c.close(); });
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 64; ++i) link.peer.send(piece);
    if (is_one_more) {
      link.peer.send("x");
    } else {
      link.peer.half_close();
    }
    const absl::Status end = observer.await_closed();
    if (is_one_more) {
      EXPECT_TRUE(absl::IsResourceExhausted(end)) << end;
      EXPECT_TRUE(absl::StrContains(end.message(), "the peer goes on sending")) << end;
    } else {
      EXPECT_TRUE(end.ok()) << end;
    }
  }
}

// One unread byte at close(2) would make it a reset, which destroys what was sent.
TEST_P(CloseTest, CloseWithUnreadInputLosesNothing) {
  const std::string sent = pattern(800'000);
  Observer observer;
  Runtime runtime(options());
  Link link =
      open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.pause_reading(); });
  link.peer.send("never read");
  fence(runtime);
  ASSERT_TRUE(link.connection
                  .post([&](Connection& c) {
                    c.send(sent);
                    c.close();
                  })
                  .ok());
  link.peer.send("nor this");
  EXPECT_TRUE(link.peer.receive_all() == sent);
  EXPECT_EQ(link.peer.end(), 0);
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(observer.bytes(), "");
}

// What another thread's send() accepted before close() is sent, though it is still on its way.
TEST_P(CloseTest, CloseInACallbackKeepsWhatAnotherThreadSentBefore) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view) {
    std::thread([c]() mutable { EXPECT_EQ(c.send("accepted"), SendResult::queued); }).join();
    c.close();
  };
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send("x");
  EXPECT_EQ(link.peer.receive_all(), "accepted");
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

TEST_P(CloseTest, ShutDownWriteInACallbackKeepsWhatAnotherThreadSentBefore) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view) {
    std::thread([c]() mutable { EXPECT_EQ(c.send("accepted"), SendResult::queued); }).join();
    c.shut_down_write();
  };
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send("x");
  EXPECT_EQ(link.peer.receive_all(), "accepted");
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

TEST_P(CloseTest, CloseFromAnotherThreadComesAfterItsSends) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(link.connection.send("0123456789").ok());
  link.connection.close();
  EXPECT_FALSE(link.connection.is_open());
  EXPECT_EQ(link.connection.send("more"), SendResult::closed);
  EXPECT_EQ(link.peer.receive_all().size(), 10'000u);
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

// The end of file that came during a pause is found without another event.
TEST_P(CloseTest, AClosePausedAndPastItsReadingFindsThePeersEnd) {
  const std::string sent = pattern(16'000'000);
  ConnectionOptions forever;
  forever.linger_timeout = absl::InfiniteDuration();
  Observer observer;
  observer.when_writable = [](Connection& c) { c.close(); };
  Runtime runtime(options());
  Link link = open_link(runtime, observer, forever, [&](Connection& c) {
    c.pause_reading();
    EXPECT_EQ(c.send(sent), SendResult::high);
  });
  link.peer.send("x");
  link.peer.half_close();
  fence(runtime);
  EXPECT_TRUE(link.peer.receive_all() == sent);
  EXPECT_TRUE(observer.await_closed().ok());
}

TEST_P(CloseTest, AbortResetsAndDropsWhatIsQueued) {
  for (const bool from_callback : {true, false}) {
    Observer observer;
    Runtime runtime(options());
    Link link = open_link(runtime, observer, ConnectionOptions(),
                          [](Connection& c) { c.send(pattern(8'000'000)); });
    if (from_callback) {
      ASSERT_TRUE(link.connection
                      .post([](Connection& c) {
                        c.abort();
                        EXPECT_FALSE(c.is_open());
                        EXPECT_EQ(c.send("more"), SendResult::closed);
                      })
                      .ok());
    } else {
      link.connection.abort();
      EXPECT_FALSE(link.connection.is_open());
    }
    EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(link.peer.end(), ECONNRESET);
    EXPECT_EQ(runtime.counters().queued_bytes, 0u);
  }
}

TEST_P(CloseTest, AbortInTheFirstCallback) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.abort(); });
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(link.peer.end(), ECONNRESET);
}

TEST_P(CloseTest, AbortCutsAGracefulCloseShort) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.close(); });
  EXPECT_EQ(link.peer.receive_all(), "");
  EXPECT_EQ(observer.closed(), 0);
  link.connection.abort();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
}

TEST_P(CloseTest, CloseAgainAndAbortAfterTheEndDoNothing) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) {
    c.close();
    c.close();
    c.shut_down_write();
  });
  link.connection.close();
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  link.connection.close();
  link.connection.abort();
  fence(runtime);
  EXPECT_EQ(observer.closed(), 1);
}

TEST_P(CloseTest, ThePeersResetIsAnError) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.reset();
  const absl::Status why = observer.await_closed();
  EXPECT_TRUE(absl::StrContains(why.message(), "ECONNRESET")) << why;
  EXPECT_EQ(observer.read_closed(), 0);
}

// A half-open peer that resets is noticed though nothing is left to read. (With an engine that
// tells of it unasked; poll(2) tells with the next write.)
TEST_P(CloseTest, ThePeersResetAfterItsEndOfFileIsAnError) {
  if (GetParam().selector != "epoll") GTEST_SKIP() << "poll(2) is not asked for anything then";
  Observer observer;
  observer.when_read_closed = nullptr;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.half_close();
  observer.await_read_closed();
  fence(link.connection);
  link.peer.reset();
  EXPECT_FALSE(observer.await_closed().ok());
}

TEST_P(CloseTest, AWriteToAPeerThatIsGoneIsAnError) {
  Observer observer;
  observer.when_read_closed = nullptr;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.close();
  observer.await_read_closed();
  while (observer.closed() == 0) {
    if (!link.connection.send("x").ok()) break;
    fence(link.connection);
  }
  const absl::Status why = observer.await_closed();
  EXPECT_FALSE(why.ok());
}

TEST_P(CloseTest, EachKindOfCallbackMayCloseItsConnection) {
  const auto expect_end = [&](auto set_up, auto provoke) {
    Observer observer;
    Runtime runtime(options());
    set_up(observer);
    Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection&) {});
    provoke(link);
    link.peer.end();
    link.peer.close();
    EXPECT_TRUE(observer.await_closed().ok());
    EXPECT_EQ(observer.closed(), 1);
  };
  const auto nothing = [](Observer&) {};
  expect_end([](Observer& o) { o.when_data = [](Connection& c, std::string_view) { c.close(); }; },
             [](Link& link) { link.peer.send("x"); });
  expect_end([](Observer& o) { o.when_read_closed = [](Connection& c) { c.close(); }; },
             [](Link& link) { link.peer.half_close(); });
  expect_end([](Observer& o) { o.when_writable = [](Connection& c) { c.close(); }; },
             [](Link& link) { link.connection.send(std::string(300'000, 'x')); });
  expect_end([](Observer& o) { o.when_closed = [](Connection& c, const auto&) { c.close(); }; },
             [](Link& link) { link.peer.half_close(); });
  expect_end(nothing, [](Link& link) {
    EXPECT_TRUE(link.connection.post([](Connection& c) { c.close(); }).ok());
  });
  expect_end(nothing, [](Link& link) {
    link.connection.timer([](Connection& c) { c.close(); }).arm(absl::ZeroDuration());
  });
}

TEST_P(CloseTest, ACallbackMayEndAnotherConnection) {
  for (const bool abort : {false, true}) {
    Observer victim_observer;
    Observer observer;
    Runtime runtime(options());
    Link victim = open_link(runtime, victim_observer);
    observer.when_data = [&](Connection&, std::string_view) {
      if (abort) {
        victim.connection.abort();
      } else {
        victim.connection.close();
      }
      EXPECT_FALSE(victim.connection.is_open());
    };
    Link link = open_link(runtime, observer);
    victim.peer.send("both are ready");
    link.peer.send("both are ready");
    EXPECT_EQ(victim.peer.end(), abort ? ECONNRESET : 0);
    victim.peer.close();
    EXPECT_EQ(victim_observer.await_closed().ok(), !abort);
    (void)observer.await_bytes(1);  // its callback uses the victim's handle to its end
    EXPECT_EQ(observer.closed(), 0);
  }
}

TEST_P(CloseTest, TwoConnectionsMayEndEachOther) {
  Observer observers[2];
  Connection a;
  observers[1].when_closed = [&](Connection&, const absl::Status&) { a.abort(); };
  Runtime runtime(options());
  Link first = open_link(runtime, observers[0]);
  Link second = open_link(runtime, observers[1]);
  a = first.connection;
  EXPECT_TRUE(a.post([&](Connection& c) {
                 second.connection.abort();
                 c.abort();
               }).ok());
  EXPECT_EQ(observers[0].await_closed().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(observers[1].await_closed().code(), absl::StatusCode::kCancelled);
}

TEST_P(CloseTest, CallsAfterTheEndReturnStatuses) {
  Observer observer;
  Connection connection;
  Timer timer;
  {
    Runtime runtime(options());
    Link link = open_link(runtime, observer);
    connection = link.connection;
    timer = connection.timer([](Connection&) { FAIL() << "after the end"; });
    const auto expect_ended = [&] {
      EXPECT_EQ(connection.send("x"), SendResult::closed);
      EXPECT_EQ(connection.post([](Connection&) { FAIL(); }).code(),
                absl::StatusCode::kFailedPrecondition);
      timer.arm(absl::ZeroDuration());
      EXPECT_FALSE(timer.is_armed());
      Timer late = connection.timer([](Connection&) { FAIL(); });
      late.arm(absl::ZeroDuration());
      EXPECT_FALSE(late.is_armed());
      connection.on_data(nullptr);
      connection.on_closed([](Connection&, const absl::Status&) { FAIL(); });
      connection.close();
      connection.abort();
      connection.shut_down_write();
      connection.pause_reading();
      connection.resume_reading();
      EXPECT_FALSE(connection.is_open());
      EXPECT_EQ(connection.queued_bytes(), 0u);
      EXPECT_NE(connection.id(), 0u);
      EXPECT_EQ(connection.local_address(), link.listener.address());
      EXPECT_TRUE(connection.peer_address().is_ipv4());
    };
    link.peer.close();
    EXPECT_TRUE(observer.await_closed().ok());
    expect_ended();
    fence(runtime);
    EXPECT_TRUE(runtime.shutdown().ok());
    expect_ended();
  }
  EXPECT_EQ(connection.send("the runtime is gone"), SendResult::closed);
  EXPECT_EQ(connection.post([](Connection&) {}).code(), absl::StatusCode::kFailedPrecondition);
  connection.close();
}

// `closed` runs once and last, though many threads end the connection in many ways.
TEST_P(CloseTest, ManyThreadsMayEndIt) {
  for (int round = 0; round < 20; ++round) {
    Observer observer;
    Runtime runtime(options());
    Link link = open_link(runtime, observer);
    const auto with = [&](auto action) {
      return std::thread([connection = link.connection, action]() mutable {
        for (int i = 0; i < 50; ++i) action(connection);
      });
    };
    std::thread threads[] = {
        with([](Connection& c) { c.send("x"); }),
        with([](Connection& c) { c.close(); }),
        with([](Connection& c) { c.post([](Connection& self) { self.send("y"); }).IgnoreError(); }),
        with([](Connection& c) { c.timer([](Connection&) {}).arm(absl::ZeroDuration()); }),
        with([round](Connection& c) {
          if (round % 2 == 0) c.abort();
        }),
        with([](Connection& c) { c.on_data([c](Connection&, std::span<const std::byte>) {}); }),
    };
    link.peer.close();
    (void)observer.await_closed();
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_EQ(observer.closed(), 1);
    EXPECT_EQ(runtime.counters().connections, 0u);
    EXPECT_EQ(runtime.counters().queued_bytes, 0u);
    EXPECT_EQ(runtime.counters().timers_armed, 0u);
  }
}

// What drain means to a connection without on_drain, with one, and with one that does nothing.
TEST_P(CloseTest, ADrainClosesGracefully) {
  const std::string sent = pattern(16'000'000);
  Observer observer;
  Runtime runtime(options());
  Link link =
      open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) { c.send(sent); });
  std::thread reader([&] {
    EXPECT_TRUE(link.peer.receive_all() == sent);
    link.peer.close();
  });
  EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
  EXPECT_EQ(observer.closed(), 1);
  EXPECT_TRUE(observer.await_closed().ok());
  reader.join();
}

TEST_P(CloseTest, OnDrainFinishesFirst) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) {
    c.send(bytes);
    c.close();
  };
  Runtime runtime(options());
  absl::Notification told;
  int drains = 0;
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    c.on_drain([&](Connection& self) {
      EXPECT_TRUE(self.is_open());
      ++drains;
      told.Notify();
    });
  });
  std::thread client([&] {
    told.WaitForNotification();
    link.peer.send("the last request");
    EXPECT_EQ(link.peer.receive_all(), "the last request");
    link.peer.close();
  });
  EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
  client.join();
  EXPECT_EQ(drains, 1);
  EXPECT_TRUE(observer.await_closed().ok());
}

// One that is accepted while the runtime begins to drain sees that itself, and is seen.
TEST_P(CloseTest, OnDrainIsCalledOnce) {
  std::atomic<int> drains{0};
  absl::Notification accepted;
  absl::Notification go_on;
  kernel_.after(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
    if (!call.result.ok()) return;
    accepted.Notify();
    go_on.WaitForNotification();
  });
  Observer observer;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [&](Connection& connection) {
    observer.watch(connection);
    connection.on_drain([&](Connection& c) {
      ++drains;
      EXPECT_TRUE(c.post([](Connection& self) { self.close(); }).ok());
    });
  });
  Peer peer(listener.address());
  accepted.WaitForNotification();
  std::thread stopper([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  const auto is_running = [&] {  // as then it looks at the address
    return absl::IsInvalidArgument(runtime.listen("", [](Connection&) {}).status());
  };
  while (is_running()) std::this_thread::yield();
  go_on.Notify();
  EXPECT_EQ(peer.end(), 0);
  peer.close();
  stopper.join();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(drains, 1);
}

TEST_P(CloseTest, ADrainThatIsNotFollowedEndsInAnAbort) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [&](Connection& c) { c.on_drain([](Connection&) {}); });
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_EQ(observer.closed(), 1);
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(link.peer.end(), ECONNRESET);
}

// With SIGPIPE at its default, each way of sending to a peer that is gone leaves the process
// alive.
TEST_P(CloseTest, NoSendRaisesSigpipe) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto survive = [&] {
    std::signal(SIGPIPE, SIG_DFL);
    const auto send_small = [](Connection& c) { c.send("x"); };
    const auto send_two = [](Connection& c) {  // in one sendmsg(2)
      c.send("x");
      c.send(std::string(20'000, 'x'));
    };
    const auto shut_down = [](Connection& c) {
      c.send("x");
      c.shut_down_write();
    };
    for (const std::function<void(Connection&)>& action :
         {std::function<void(Connection&)>(send_small), std::function<void(Connection&)>(send_two),
          std::function<void(Connection&)>(shut_down)}) {
      Observer observer;
      observer.when_read_closed = nullptr;
      Runtime runtime(options());
      Link link = open_link(runtime, observer);
      link.peer.send("x");
      link.peer.half_close();
      observer.await_read_closed();
      link.peer.close();
      // The first makes the peer's system answer with a reset, the next would raise the signal.
      while (observer.closed() == 0 && link.connection.post(action).ok()) fence(link.connection);
      (void)observer.await_closed();
    }
    // A queue that is being written when the reset comes.
    Observer observer;
    Runtime runtime(options());
    Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) {
      c.pause_reading();
      c.send(std::string(8'000'000, 'x'));
    });
    link.peer.reset();
    (void)observer.await_closed();
    std::_Exit(testing::Test::HasFailure() ? 1 : 0);
  };
  EXPECT_EXIT(survive(), testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Everywhere, CloseTest, testing::ValuesIn(all_modes()), mode_name);

// What ended is freed by the poll thread, which is woken for so many.
TEST(ReclaimTest, ConnectionsThatEndWhileThePollThreadSleepsWakeItOnceForSixtyFour) {
  constexpr std::size_t kConnections = 64;
  FaultKernel kernel;
  RuntimeOptions options;
  options.dispatch = Dispatch::workers;
  options.kernel = &kernel;
  absl::Mutex mutex;
  std::vector<Connection> connections;
  std::size_t closed = 0;
  const auto await = [&](auto is_so) {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&is_so));
  };
  Runtime runtime(options);  // after what its callbacks use until it has ended
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) {
    c.on_closed([&](Connection&, const absl::Status&) {
      absl::MutexLock lock(&mutex);
      ++closed;
    });
    absl::MutexLock lock(&mutex);
    connections.push_back(c);
  });
  std::vector<std::unique_ptr<Peer>> peers;
  for (std::size_t i = 0; i < kConnections; ++i) {
    peers.push_back(std::make_unique<Peer>(listener.address()));
  }
  await([&] { return connections.size() == kConnections; });
  const std::vector<Connection> aborted = connections;  // as one more is to come, now or at the end
  Hold asleep(kernel, KernelCall::kEpollWait, Hold::before);
  peers.push_back(std::make_unique<Peer>(listener.address()));
  asleep.await();
  const std::uint64_t wakes = runtime.counters().wakes;
  for (std::size_t i = 0; i < kConnections; ++i) {
    EXPECT_EQ(runtime.counters().wakes, wakes) << i;
    Connection(aborted[i]).abort();
    await([&] { return closed == i + 1; });
  }
  EXPECT_EQ(runtime.counters().wakes, wakes + 1);
  asleep.release();
}

}  // namespace
}  // namespace epore
