// A coroutine that serves a connection: how it begins and ends, and how the runtime ends it.

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"

namespace epore {
namespace {

class ServeTest : public HandlerTest {};

TEST_P(ServeTest, ItsEndClosesGracefully) {
  DrivenRuntime runtime(options());
  Peer peer = serve(runtime, [](Connection c) -> Task<> {
    co_await c.read_exactly(1);
    const std::string text = pattern(3'000'000);
    co_await c.write(text);
  });
  peer.send("xyz");  // some of it is not read
  EXPECT_EQ(peer.receive(3'000'000), pattern(3'000'000));
  EXPECT_EQ(peer.end(), 0);
}

TEST_P(ServeTest, ItsErrorAborts) {
  DrivenRuntime runtime(options());
  absl::Notification closed;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    c.on_closed([&](Connection&, const absl::Status& why) {
      EXPECT_EQ(why, absl::DataLossError("bad"));
      closed.Notify();
    });
    co_await c.read();
    co_await absl::DataLossError("bad");
  });
  peer.send("x");
  EXPECT_EQ(peer.end(), ECONNRESET);
  closed.WaitForNotification();
  EXPECT_EQ(runtime.counters().handler_errors, 1u);
}

Task<> greet(Connection c) {
  for (;;) {
    const std::string name(co_await c.read_until("\n", 16));
    co_await c.write("hello " + name);
  }
}

// The answers are there, although the client has ended its half right behind its last message.
TEST_P(ServeTest, AnEndBetweenMessagesClosesGracefully) {
  DrivenRuntime runtime(options());
  for (const bool is_nested : {false, true}) {
    Peer peer = serve(runtime, [&](Connection c) -> Task<> {
      if (!is_nested) co_await greet(c);
      co_await within(absl::Hours(1), greet(c));
    });
    peer.send("Ada\nBob\n");
    peer.half_close();
    EXPECT_EQ(peer.receive(20), "hello Ada\nhello Bob\n");
    EXPECT_EQ(peer.end(), 0);
  }
  EXPECT_EQ(runtime.counters().handler_errors, 0u);
}

TEST_P(ServeTest, SoDoesOneWithReadExactly) {
  DrivenRuntime runtime(options());
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    for (;;) co_await c.write(std::string(co_await c.read_exactly(2)));
  });
  peer.send("abcd");
  peer.half_close();
  EXPECT_EQ(peer.receive(4), "abcd");
  EXPECT_EQ(peer.end(), 0);
  EXPECT_EQ(runtime.counters().handler_errors, 0u);
}

TEST_P(ServeTest, AnEndInTheMiddleOfAMessageAborts) {
  DrivenRuntime runtime(options());
  Peer peer = serve(runtime, greet);
  peer.send("Ada");
  peer.half_close();
  EXPECT_EQ(peer.end(), ECONNRESET);
  EXPECT_EQ(runtime.counters().handler_errors, 1u);
}

// Or a client would take a part of an answer for all of it.
TEST_P(ServeTest, TheEndOfAnotherConnectionAborts) {
  DrivenRuntime runtime(options());
  const absl::StatusOr<Listener> origin =
      runtime.listen("127.0.0.1:0", [](Connection c) -> Task<> { co_await c.write("part"); });
  ASSERT_TRUE(origin.ok()) << origin.status();
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    Connection from = co_await connect(origin->address().to_string());
    co_await from.read_exactly(4);
    while (!(co_await c.read()).empty()) {
    }
    co_await from.read_until("\n", 16);
  });
  peer.half_close();
  EXPECT_EQ(peer.end(), ECONNRESET);
  EXPECT_EQ(runtime.counters().handler_errors, 1u);
}

TEST_P(ServeTest, AnExceptionIsInternal) {
  DrivenRuntime runtime(options());
  absl::Notification closed;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    c.on_closed([&](Connection&, const absl::Status& why) {
      EXPECT_TRUE(absl::IsInternal(why)) << why;
      closed.Notify();
    });
    co_await c.read();
    throw std::runtime_error("thrown");
  });
  peer.send("x");
  EXPECT_EQ(peer.end(), ECONNRESET);
  closed.WaitForNotification();
}

// As after ECONNRESET: it is no mistake of the program.
TEST_P(ServeTest, AWriteToAPeerThatHasGoneIsUnavailable) {
  FaultKernel kernel;
  kernel.fail(KernelCall::kSend, EPIPE, 1);
  RuntimeOptions with_kernel = options();
  with_kernel.kernel = &kernel;
  DrivenRuntime runtime(with_kernel);
  absl::Notification closed;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    c.on_closed([&](Connection&, const absl::Status& why) {
      EXPECT_TRUE(absl::IsUnavailable(why)) << why;
      closed.Notify();
    });
    co_await c.read();
    (void)co_await c.write("x").result();  // which may only be queued
    const absl::Status flushed = co_await c.flush().result();
    EXPECT_TRUE(absl::IsUnavailable(flushed)) << flushed;
  });
  peer.send("x");
  closed.WaitForNotification();
}

Task<> read_and_wait(Connection c, absl::Notification& has_read) {
  co_await c.read_exactly(1);
  has_read.Notify();
  co_await sleep_for(absl::InfiniteDuration());
}

void expect_cut_off(Runtime& runtime, Peer& peer, absl::Notification& has_read) {
  peer.send("x");
  has_read.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_EQ(peer.end(), ECONNRESET);
  EXPECT_EQ(runtime.counters().connections_cut_off, 1u);
}

// Either its task is stopped first, or the connection.
TEST_P(ServeTest, AConnectionThatIsCutOffIsCounted) {
  for (int round = 0; round < 20; ++round) {
    DrivenRuntime runtime(options());
    absl::Notification has_read;
    Peer peer = serve(runtime, [&](Connection c) { return read_and_wait(c, has_read); });
    expect_cut_off(runtime, peer, has_read);
  }
}

TEST_P(ServeTest, AConnectionThatATaskHasAcceptedIsCountedAsWell) {
  for (int round = 0; round < 20; ++round) {
    DrivenRuntime runtime(options());
    absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0");
    ASSERT_TRUE(listener.ok());
    absl::Notification has_read;
    const Job job = runtime.spawn(
        [&]() -> Task<> { co_await read_and_wait(co_await listener->accept(), has_read); });
    Peer peer(listener->address());
    expect_cut_off(runtime, peer, has_read);
  }
}

TEST_P(ServeTest, TheHandlerLivesUntilItsLastCoroutineHasEnded) {
  auto counted = std::make_shared<int>(0);
  absl::Notification done;
  std::vector<Peer> peers;
  {
    DrivenRuntime runtime(options());
    absl::StatusOr<Listener> listener =
        runtime.listen("127.0.0.1:0", [counted, &done](Connection c) -> Task<> {
          co_await c.read();
          ++*counted;
          co_await c.write("x");
          done.Notify();
        });
    ASSERT_TRUE(listener.ok());
    peers.emplace_back(listener->address());
    fence(runtime);
    ASSERT_TRUE(listener->close_and_wait().ok());
    EXPECT_GT(counted.use_count(), 1);
    peers[0].send("x");
    EXPECT_EQ(peers[0].receive(1), "x");
    done.WaitForNotification();
    peers.clear();
  }
  EXPECT_EQ(counted.use_count(), 1);
  EXPECT_EQ(*counted, 1);
}

// Handlers in one order need no lock.
TEST_P(ServeTest, HandlersShareAnOrder) {
  DrivenRuntime runtime(options());
  int together = 0;
  int most = 0;
  int count = 0;
  std::vector<Peer> peers;
  peers.push_back(serve(runtime,
                        [&](Connection c) -> Task<> {
                          while (ByteView bytes = co_await c.read()) {
                            most = std::max(most, ++together);
                            count += static_cast<int>(bytes.size());
                            --together;
                            co_await c.write(bytes);
                          }
                        },
                        {.order = runtime.order()}));
  while (peers.size() < 10) peers.emplace_back(*SocketAddress::parse(address()));
  for (int round = 0; round < 20; ++round) {
    for (Peer& peer : peers) peer.send("ab");
    for (Peer& peer : peers) EXPECT_EQ(peer.receive(2), "ab");
  }
  for (Peer& peer : peers) peer.half_close();
  for (Peer& peer : peers) EXPECT_EQ(peer.end(), 0);
  EXPECT_EQ(count, 400);
  EXPECT_EQ(most, 1);
}

// --- The shutdown. ---

TEST_P(ServeTest, AShutdownEndsAReadThatWaits) {
  DrivenRuntime runtime(options());
  absl::Notification ended;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    co_await c.write("ready");
    absl::StatusOr<ByteView> bytes = co_await c.read().result();
    EXPECT_TRUE(absl::IsCancelled(bytes.status())) << bytes.status();
    co_await c.write("bye");  // what is begun can be finished
    ended.Notify();
  });
  EXPECT_EQ(peer.receive(5), "ready");
  std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  EXPECT_EQ(peer.receive_all(), "bye");
  peer.close();
  shutdown.join();
  EXPECT_TRUE(ended.HasBeenNotified());
}

// What has arrived is answered first.
TEST_P(ServeTest, AShutdownLetsWhatHasArrivedBeRead) {
  DrivenRuntime runtime(options());
  absl::Notification held;
  absl::Notification drains;
  AsyncEvent go_on;
  Observer observer;
  Link link = open_link(runtime, observer, ListenOptions(), [&](Connection& c) {
    c.on_drain([&](Connection& c) {
      drains.Notify();
      c.close();
    });
  });
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    co_await c.read_exactly(1);
    held.Notify();
    co_await go_on.wait();
    while (ByteView bytes = co_await c.read()) co_await c.write(bytes);
  });
  peer.send("x");
  held.WaitForNotification();
  peer.send("request");
  std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  drains.WaitForNotification();
  go_on.set();
  EXPECT_EQ(peer.receive_all(), "request");
  peer.close();
  link.peer.close();
  shutdown.join();
}

// A request of which a part has come is waited for.
TEST_P(ServeTest, AShutdownWaitsForTheRestOfALine) {
  DrivenRuntime runtime(options());
  absl::Notification ready;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    co_await c.peek();
    ready.Notify();
    ByteView line = co_await c.read_until("\n", 100);
    co_await c.write(line);
  });
  peer.send("hel");
  ready.WaitForNotification();
  std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  peer.send("lo\n");
  EXPECT_EQ(peer.receive_all(), "hello\n");
  peer.close();
  shutdown.join();
}

TEST_P(ServeTest, AShutdownWithoutTimeEndsEverything) {
  DrivenRuntime runtime(options());
  bool was_destroyed = false;
  struct Sets {
    bool& flag;
    ~Sets() { flag = true; }
  };
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    const Sets sets{was_destroyed};
    co_await c.write("ready");
    // It does not listen to stops.
    for (;;) (void)co_await sleep_for(absl::Hours(1)).result();
  });
  EXPECT_EQ(peer.receive(5), "ready");
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_TRUE(was_destroyed);
  EXPECT_NE(peer.end(), 0);
}

TEST_P(ServeTest, AJobGoesOnWhileConnectionsDrain) {
  DrivenRuntime runtime(options());
  Channel<int> questions(1);
  Channel<int> answers(1);
  Job job = runtime.spawn([&]() -> Task<> {
    for (;;) co_await answers.send(2 * co_await questions.receive());
  });
  absl::Notification asks;
  AsyncEvent drains;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    co_await c.read_exactly(1);
    c.on_drain([&](Connection&) { drains.set(); });
    asks.Notify();
    co_await drains.wait();
    co_await questions.send(21);
    co_await c.write(std::to_string(co_await answers.receive()));
  });
  peer.send("x");
  asks.WaitForNotification();
  std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  EXPECT_EQ(peer.receive_all(), "42");
  peer.close();
  shutdown.join();
  EXPECT_TRUE(absl::IsCancelled(*job.status())) << *job.status();
}

// A connection of a job does not hold the drain up: the job is stopped, and its handles go.
TEST_P(ServeTest, AJobsConnectionsEndWithIt) {
  DrivenRuntime servers(options());
  Peer peer = serve(servers, echo);
  DrivenRuntime runtime(options());
  absl::Notification connected;
  Job job = runtime.spawn([&]() -> Task<> {
    Connection c = co_await connect(address());
    co_await c.write("hello");
    co_await c.read_exactly(5);
    connected.Notify();
    co_await c.read();
  });
  connected.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
  EXPECT_TRUE(absl::IsCancelled(*job.status())) << *job.status();
}

// --- Connections that a task has made. ---

TEST_P(ServeTest, TheLastHandleClosesWhatATaskHasConnected) {
  DrivenRuntime runtime(options());
  Peer peer = serve(runtime, echo);
  EXPECT_TRUE(runtime
                  .run([&]() -> Task<> {
                    for (int i = 0; i < 20; ++i) {
                      Connection c = co_await connect(address());
                      Connection copy = c;
                      co_await copy.write("x");
                      c = Connection();
                      EXPECT_EQ((co_await copy.read_exactly(1)).text(), "x");
                    }
                    co_return;
                  })
                  .ok());
  while (runtime.counters().connections > 1) std::this_thread::yield();
}

TEST_P(ServeTest, ConnectFailsAndCanBeStopped) {
  DrivenRuntime runtime(options());
  Peer peer = serve(runtime, echo);
  absl::Status done = runtime.run([&]() -> Task<> {
    EXPECT_TRUE(absl::IsInvalidArgument((co_await connect("nonsense").result()).status()));
    auto stopped = co_await any(connect(address()), [&]() -> Task<> { co_return; }());
    EXPECT_EQ(stopped.index(), 1u);
    absl::StatusOr<Connection> late =
        co_await within(absl::ZeroDuration(), connect(address())).result();
    EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
  });
  EXPECT_TRUE(done.ok()) << done;
}

// The braces are a temporary in a co_await expression, which gcc 12 destroys twice.
TEST_P(ServeTest, ConnectTakesOptions) {
  DrivenRuntime runtime(options());
  Peer peer = serve(runtime, echo);
  ConnectOptions named;
  named.order = runtime.order();
  named.connection.write_high_mark = 1 << 20;
  absl::Status done = runtime.run([&]() -> Task<> {
    for (int i = 0; i < 3; ++i) {
      Connection c = co_await connect(address(), {.keep_alive = true, .write_cap = 1 << 20});
      Connection d = co_await within(absl::Minutes(1), connect(address(), named));
      auto both = co_await all(connect(address(), {.no_delay = false}), connect(address(), named));
    }
    const absl::Status bad =
        (co_await connect(address(), {.idle_timeout = absl::ZeroDuration()}).result()).status();
    EXPECT_TRUE(absl::IsInvalidArgument(bad)) << bad;
  });
  EXPECT_TRUE(done.ok()) << done;
  EXPECT_TRUE(named.order.post([] {}).ok());
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ServeTest, testing::ValuesIn(every_mode()), mode_name);

}  // namespace
}  // namespace epore
