// Connections whose bytes the ring of the poll thread receives: what callbacks and coroutines get,
// and what that costs. What holds for every engine is in the other suites, which have this mode.

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

class CompletionsTest : public testing::Test {
 protected:
  void SetUp() override {
    const Runtime runtime(options());
    if (!runtime.status().ok()) GTEST_SKIP() << runtime.status();
    const std::string reason = runtime.counters().selector_reason;
    if (!reason.empty()) GTEST_SKIP() << reason;
  }

  RuntimeOptions options() {
    RuntimeOptions options;
    options.dispatch = Dispatch::poll_thread;
    options.selector = "io_uring";
    options.require_selector = true;
    options.kernel = &kernel_;
    return options;
  }

  std::uint64_t receives() const { return kernel_.calls(KernelCall::kRecv); }

  // Runs `body` as the handler of a connection, and returns when it has ended.
  template <typename Body>
  void run(Body body, std::function<void(Peer&)> peer) {
    absl::Notification ended;
    Runtime runtime(options());
    const absl::StatusOr<Listener> listener =
        runtime.listen("127.0.0.1:0", [&](Connection connection) -> Task<> {
          co_await body(connection);
          ended.Notify();
        });
    ASSERT_TRUE(listener.ok()) << listener.status();
    Peer other(listener->address());
    peer(other);
    ended.WaitForNotification();
  }

  const ExpectNoFdLeak no_leak_;
  RealKernel system_;
  FaultKernel kernel_{system_};
};

TEST_F(CompletionsTest, AnEchoIsOneSendAndHardlyMore) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send("first");
  EXPECT_EQ(link.peer.receive(5), "first");
  const std::uint64_t before = receives();
  for (int i = 0; i < 1000; ++i) {
    link.peer.send(pattern(64, static_cast<unsigned>(i)));
    ASSERT_EQ(link.peer.receive(64), pattern(64, static_cast<unsigned>(i)));
  }
  EXPECT_EQ(receives(), before);
}

TEST_F(CompletionsTest, AnEchoOfACoroutineNeedsNoRecvEither) {
  run(
      [](Connection& c) -> Task<> {
        while (ByteView bytes = co_await c.read()) co_await c.write(bytes);
      },
      [&](Peer& peer) {
        for (int i = 0; i < 1000; ++i) {
          peer.send(pattern(64, static_cast<unsigned>(i)));
          ASSERT_EQ(peer.receive(64), pattern(64, static_cast<unsigned>(i)));
        }
        peer.half_close();
        EXPECT_EQ(peer.end(), 0);
      });
  EXPECT_EQ(receives(), 0u);
}

TEST_F(CompletionsTest, AMessageOfManyBuffersComesInOrder) {
  const std::string sent = pattern(3'000'000);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send(sent);
  link.peer.half_close();
  EXPECT_TRUE(observer.await_bytes(sent.size()) == sent);
  observer.await_read_closed();
  EXPECT_TRUE(observer.await_closed().ok());
}

// More messages at once than there are buffers at first, and then no memory for others.
TEST_F(CompletionsTest, ManyConnectionsShareFewBuffers) {
  constexpr std::size_t kPeers = 100;
  const std::string sent = pattern(30'000);
  std::vector<std::unique_ptr<Observer>> observers(kPeers);
  Runtime runtime(options());
  std::vector<Link> links;
  for (std::unique_ptr<Observer>& observer : observers) {
    observer = std::make_unique<Observer>();
    observer->when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
    links.push_back(open_link(runtime, *observer));
  }
  for (Link& link : links) link.peer.send(sent);
  for (Link& link : links) EXPECT_TRUE(link.peer.receive(sent.size()) == sent);
}

TEST_F(CompletionsTest, PausedConnectionsTakeNoBufferFromOthers) {
  constexpr std::size_t kPaused = 1200;  // more than there are buffers
  std::vector<std::unique_ptr<Observer>> paused(kPaused);
  Observer observer;
  Runtime runtime(options());
  Link other = open_link(runtime, observer);
  std::vector<Link> links;
  for (std::unique_ptr<Observer>& one : paused) {
    one = std::make_unique<Observer>();
    links.push_back(
        open_link(runtime, *one, ConnectionOptions(), [](Connection& c) { c.pause_reading(); }));
    links.back().peer.send("waits");
  }
  for (int i = 0; i < 20; ++i) {
    other.peer.send("goes on");
    observer.await_bytes(7u * static_cast<std::size_t>(i + 1));
  }
  for (Link& link : links) link.connection.resume_reading();
  for (const std::unique_ptr<Observer>& one : paused) EXPECT_EQ(one->await_bytes(5), "waits");
}

TEST_F(CompletionsTest, APauseForAMomentIsNoSystemCall) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) {
    c.pause_reading();
    c.resume_reading();
    c.send(bytes);
  };
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  const std::uint64_t registered = kernel_.calls(KernelCall::kFstat);
  for (int i = 0; i < 50; ++i) {
    link.peer.send("ping");
    ASSERT_EQ(link.peer.receive(4), "ping");
  }
  EXPECT_EQ(kernel_.calls(KernelCall::kFstat), registered);
  EXPECT_EQ(receives(), 0u);
}

TEST_F(CompletionsTest, WhatComesDuringAPauseKeepsItsPlace) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  const std::string sent = pattern(500'000);
  for (std::size_t at = 0; at < sent.size(); at += 50'000) {
    link.connection.pause_reading();
    fence(link.connection);
    link.peer.send(sent.substr(at, 25'000));
    fence(runtime);
    link.peer.send(sent.substr(at + 25'000, 25'000));
    fence(runtime);
    EXPECT_TRUE(observer.bytes() == sent.substr(0, at));
    link.connection.resume_reading();
    EXPECT_TRUE(observer.await_bytes(at + 50'000) == sent.substr(0, at + 50'000));
  }
}

TEST_F(CompletionsTest, ReadsOfACoroutineReachOverBuffers) {
  run(
      [](Connection& c) -> Task<> {
        EXPECT_EQ((co_await c.read_exactly(3)).text(), "abc");
        EXPECT_TRUE((co_await c.read_exactly(20'000)).text() == pattern(20'000, 1));
        EXPECT_TRUE((co_await c.peek(9'000)).text().substr(0, 9'000) ==
                    pattern(20'000, 2).substr(0, 9'000));
        EXPECT_TRUE((co_await c.read_exactly(20'000)).text() == pattern(20'000, 2));
        EXPECT_EQ((co_await c.read_until("\n", 20'000)).text(), std::string(10'000, 'x') + "\n");
        std::array<std::byte, 1000> some;
        std::string got;
        while (const std::size_t count = co_await c.read_some(some)) {
          got += ByteView(some.data(), count).text();
        }
        EXPECT_TRUE(got == pattern(20'000, 3));
      },
      [](Peer& peer) {
        peer.send("abc" + pattern(20'000, 1) + pattern(20'000, 2));
        peer.send(std::string(10'000, 'x') + "\n" + pattern(20'000, 3));
        peer.half_close();
      });
}

// A view is good until the next read, whatever happens to the buffers meanwhile.
TEST_F(CompletionsTest, AViewStaysWhileItsCoroutineWaits) {
  absl::Notification has_read;
  absl::Notification may_look;
  AsyncEvent goes_on;
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options());
  Link other = open_link(runtime, observer);
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", [&](Connection c) -> Task<> {
    const ByteView bytes = co_await c.read();
    has_read.Notify();
    co_await goes_on.wait();
    EXPECT_EQ(bytes.text(), "stays");
    co_await c.write(bytes);
    may_look.Notify();
  });
  ASSERT_TRUE(listener.ok());
  Peer peer(listener->address());
  peer.send("stays");
  has_read.WaitForNotification();
  for (int i = 0; i < 200; ++i) {  // through all buffers
    other.peer.send(pattern(4096, static_cast<unsigned>(i)));
    ASSERT_EQ(other.peer.receive(4096), pattern(4096, static_cast<unsigned>(i)));
  }
  ASSERT_TRUE(runtime.post([&] { goes_on.set(); }).ok());
  EXPECT_EQ(peer.receive(5), "stays");
  may_look.WaitForNotification();
}

// So it is where the bytes have waited, and the coroutine closes with the view in its hand.
TEST_F(CompletionsTest, AViewStaysBehindAClose) {
  absl::Notification has_read;
  absl::Notification has_looked;
  AsyncEvent begins;
  AsyncEvent goes_on;
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options());
  Link other = open_link(runtime, observer);
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", [&](Connection c) -> Task<> {
    co_await begins.wait();
    const ByteView bytes = co_await c.read();
    c.close();
    has_read.Notify();
    co_await goes_on.wait();
    EXPECT_EQ(bytes.text(), "stays");
    has_looked.Notify();
  });
  ASSERT_TRUE(listener.ok());
  Peer peer(listener->address());
  peer.send("stays");
  fence(runtime);
  ASSERT_TRUE(runtime.post([&] { begins.set(); }).ok());
  has_read.WaitForNotification();
  for (int i = 0; i < 200; ++i) {  // through all buffers
    other.peer.send(pattern(4096, static_cast<unsigned>(i)));
    ASSERT_EQ(other.peer.receive(4096), pattern(4096, static_cast<unsigned>(i)));
  }
  ASSERT_TRUE(runtime.post([&] { goes_on.set(); }).ok());
  has_looked.WaitForNotification();
}

TEST_F(CompletionsTest, BytesBeforeAResetAreRead) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send("last words");
  link.peer.reset();
  EXPECT_FALSE(observer.await_closed().ok());
  EXPECT_EQ(observer.bytes(), "last words");
}

// Nobody reads, and a reset is told all the same: while bytes wait, and behind the peer's end.
TEST_F(CompletionsTest, AResetIsToldWhereNoReceiveIsArmed) {
  absl::Notification closed;
  Observer observer;
  observer.when_read_closed = [](Connection&) {};
  Runtime runtime(options());
  {
    Link link = open_link(runtime, observer);
    link.peer.half_close();
    observer.await_read_closed();
    fence(link.connection);
    link.peer.reset();
    EXPECT_FALSE(observer.await_closed().ok());
  }
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", [&](Connection& c) {
    c.on_closed([&](Connection&, const absl::Status&) { closed.Notify(); });
  });
  ASSERT_TRUE(listener.ok());
  Peer peer(listener->address());
  peer.send("nobody reads this");
  fence(runtime);
  peer.reset();
  closed.WaitForNotification();
}

TEST_F(CompletionsTest, AnAbortWithDataInFlightIsAReset) {
  for (int round = 0; round < 20; ++round) {
    Observer observer;
    Runtime runtime(options());
    Link link = open_link(runtime, observer);
    fence(runtime);
    link.peer.send("in flight");
    link.connection.abort();
    EXPECT_EQ(link.peer.end(), ECONNRESET);
    EXPECT_FALSE(observer.await_closed().ok());
  }
}

TEST_F(CompletionsTest, ACloseWithDataInFlightIsGraceful) {
  for (int round = 0; round < 20; ++round) {
    Observer observer;
    Runtime runtime(options());
    Link link = open_link(runtime, observer);
    fence(runtime);
    link.connection.send("answer");
    link.peer.send(pattern(100'000));
    link.connection.close();
    EXPECT_EQ(link.peer.receive_all(), "answer");
    link.peer.close();
    EXPECT_TRUE(observer.await_closed().ok());
  }
}

// A request that has come before the shutdown is answered, told or not.
TEST_F(CompletionsTest, AShutdownAnswersWhatIsInFlight) {
  for (int round = 0; round < 20; ++round) {
    absl::Notification holds;
    absl::Notification goes_on;
    Observer observer;
    observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
    Runtime runtime(options());
    Link link = open_link(runtime, observer);
    link.peer.send("first");
    EXPECT_EQ(link.peer.receive(5), "first");
    ASSERT_TRUE(runtime
                    .post([&] {
                      holds.Notify();
                      goes_on.WaitForNotification();
                    })
                    .ok());
    holds.WaitForNotification();
    link.peer.send("request");
    link.peer.half_close();
    runtime.request_shutdown();
    goes_on.Notify();
    EXPECT_EQ(link.peer.receive_all(), "request");
  }
}

// What is full is told by a poll, which no connection has before.
TEST_F(CompletionsTest, ASocketThatIsFullIsWatchedUntilItHasRoom) {
  const std::string sent = pattern(8'000'000);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  const std::uint64_t registered = kernel_.calls(KernelCall::kFstat);
  link.connection.send(sent);
  for (int i = 0; i < 2; ++i) fence(link.connection);  // the run with the first one has ended
  EXPECT_EQ(kernel_.calls(KernelCall::kFstat), registered + 1);
  EXPECT_TRUE(link.peer.receive(sent.size()) == sent);
  link.connection.send(sent);
  EXPECT_TRUE(link.peer.receive(sent.size()) == sent);
  link.peer.send("and the other way");
  EXPECT_EQ(observer.await_bytes(17), "and the other way");
}

// The first callback comes before the connection receives, and a connector has polled the socket.
TEST_F(CompletionsTest, ASocketThatIsFullSinceTheFirstCallbackIsWatched) {
  const std::string sent = pattern(8'000'000);
  const auto send = [&](Connection& c) {  // in pieces, as a call has a budget
    for (std::size_t at = 0; at < sent.size(); at += 50'000) c.send(sent.substr(at, 50'000));
  };
  Observer server;
  Observer client;
  Runtime runtime(options());
  Link link = open_link(runtime, server, ListenOptions(), send);
  EXPECT_TRUE(link.peer.receive(sent.size()) == sent);
  Observer other;
  Listener listener = listen_on_loopback(runtime, [&](Connection& c) { other.watch(c); });
  runtime.connect(listener.address().to_string(), [&](absl::StatusOr<Connection> connected) {
    ASSERT_TRUE(connected.ok()) << connected.status();
    client.watch(*connected);
    send(*connected);
  });
  EXPECT_TRUE(other.await_bytes(sent.size()) == sent);
}

// The runtime reads then, and says why.
TEST_F(CompletionsTest, WhereTheSystemTakesNoBuffersTheRuntimeReads) {
  kernel_.fail(KernelCall::kIoUringRegister, EINVAL, 2);  // behind the probe
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options());
  ASSERT_TRUE(runtime.status().ok()) << runtime.status();
  const Counters counters = runtime.counters();
  EXPECT_EQ(counters.selector, "io_uring");
  EXPECT_TRUE(absl::StrContains(counters.selector_reason, "without completions"))
      << counters.selector_reason;
  EXPECT_TRUE(absl::StrContains(counters.selector_reason, "EINVAL")) << counters.selector_reason;
  Link link = open_link(runtime, observer);
  link.peer.send("ping");
  EXPECT_EQ(link.peer.receive(4), "ping");
  EXPECT_GT(receives(), 0u);
}

// With other threads that may run a connection, the runtime reads.
TEST_F(CompletionsTest, OtherDispatchesRead) {
  for (const Dispatch dispatch : {Dispatch::adaptive, Dispatch::workers}) {
    const std::uint64_t before = receives();
    RuntimeOptions other = options();
    other.dispatch = dispatch;
    Observer observer;
    observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
    Runtime runtime(other);
    EXPECT_EQ(runtime.counters().selector_reason, "");
    Link link = open_link(runtime, observer);
    link.peer.send("ping");
    EXPECT_EQ(link.peer.receive(4), "ping");
    EXPECT_GT(receives(), before);
  }
}

// An order may run on the poll thread of another reactor, so its connections read.
TEST_F(CompletionsTest, AnOrderOfSeveralReactorsReads) {
  for (const int reactors : {1, 2}) {
    const std::uint64_t before = receives();
    RuntimeOptions some = options();
    some.reactors = reactors;
    Observer observer;
    observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
    Runtime runtime(some);
    ListenOptions listen;
    listen.order = runtime.order();
    Link link = open_link(runtime, observer, listen);
    link.peer.send("ping");
    EXPECT_EQ(link.peer.receive(4), "ping");
    EXPECT_EQ(receives() > before, reactors > 1);
  }
}

TEST_F(CompletionsTest, AConnectionOfTheRuntimesOwnReceivesAsWell) {
  Observer server;
  server.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Observer client;
  Runtime runtime(options());
  Listener listener = listen_on_loopback(runtime, [&](Connection& c) { server.watch(c); });
  runtime.connect(listener.address().to_string(), [&](absl::StatusOr<Connection> connected) {
    ASSERT_TRUE(connected.ok()) << connected.status();
    client.watch(*connected);
    connected->send(pattern(100'000));
  });
  EXPECT_TRUE(client.await_bytes(100'000) == pattern(100'000));
  EXPECT_EQ(receives(), 0u);
}

}  // namespace
}  // namespace epore
