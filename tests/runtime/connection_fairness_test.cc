// That no connection starves the others.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

// With one thread for callbacks, so that whoever keeps it keeps it from all.
class ConnectionFairnessTest : public RuntimeTest {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options = RuntimeTest::options();
    options.workers = 1;
    return options;
  }

  // Opens 100 connections, and expects that each gets an echo while `hot` goes on.
  void expect_others_are_served(Runtime& runtime) {
    std::vector<Observer> observers(100);
    std::vector<Link> links;
    for (Observer& observer : observers) {
      observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
      links.push_back(open_link(runtime, observer));
    }
    for (Link& link : links) link.peer.send("x");
    for (Link& link : links) EXPECT_EQ(link.peer.receive(1), "x");
    for (Link& link : links) link.peer.close();
    for (Observer& observer : observers) EXPECT_TRUE(observer.await_closed().ok());
  }
};

// One whose peer never stops sending.
TEST_P(ConnectionFairnessTest, AFloodOfBytes) {
  Observer hot;
  std::atomic<bool> stop{false};
  Runtime runtime(options());
  Link link = open_link(runtime, hot);
  link.connection.on_data([](Connection&, std::span<const std::byte>) {});
  std::thread flood([&] {
    const std::string bytes(1'000'000, 'x');
    while (!stop) link.peer.send(bytes);
    link.peer.close();
  });
  expect_others_are_served(runtime);
  stop = true;
  flood.join();
  EXPECT_TRUE(hot.await_closed().ok());
}

// One that posts to itself again and again.
TEST_P(ConnectionFairnessTest, APostThatPostsItself) {
  Observer hot;
  std::atomic<bool> stop{false};
  std::function<void(Connection&)> again = [&](Connection& c) {
    if (stop) return;
    EXPECT_TRUE(c.post(again).ok());
  };
  Runtime runtime(options());
  Link link = open_link(runtime, hot, ConnectionOptions(), again);
  expect_others_are_served(runtime);
  stop = true;
}

// Nor does one that posts to itself keep itself from reading, or from its owner's abort().
TEST_P(ConnectionFairnessTest, APostThatPostsItselfKeepsNothingElseOfItsConnectionWaiting) {
  Observer hot;
  std::function<void(Connection&)> again = [&](Connection& c) { (void)c.post(again); };
  Runtime runtime(options());
  Link link = open_link(runtime, hot, ConnectionOptions(), again);
  link.peer.send("read");
  EXPECT_EQ(hot.await_bytes(4), "read");
  link.connection.abort();
  EXPECT_EQ(hot.await_closed().code(), absl::StatusCode::kCancelled);
}

// One that sends more whenever it may.
TEST_P(ConnectionFairnessTest, AProducerThatNeverEnds) {
  ConnectionOptions marks;
  marks.write_low_mark = 0;
  marks.write_high_mark = 0;
  std::atomic<bool> stop{false};
  Observer hot;
  hot.when_writable = [&](Connection& c) {
    if (stop) {
      c.close();
    } else {
      c.send("more");
    }
  };
  Runtime runtime(options());
  Link link = open_link(runtime, hot, marks, [](Connection& c) { c.send("first"); });
  std::thread reader([&] {
    link.peer.receive_all();
    link.peer.close();
  });
  expect_others_are_served(runtime);
  stop = true;
  reader.join();
  EXPECT_TRUE(hot.await_closed().ok());
}

// Two that answer each other: a ping that never ends.
TEST_P(ConnectionFairnessTest, APingPong) {
  std::atomic<bool> stop{false};
  const auto answer = [&](Connection& c, std::string_view bytes) {
    if (stop) {
      c.close();
    } else {
      c.send(bytes);
    }
  };
  Observer server;
  Observer client;
  server.when_data = answer;
  client.when_data = answer;
  Runtime runtime(options());
  const Listener listener =
      listen_on_loopback(runtime, [&](Connection& connection) { server.watch(connection); });
  runtime.connect(listener.address().to_string(), [&](absl::StatusOr<Connection> connection) {
    ASSERT_TRUE(connection.ok()) << connection.status();
    client.watch(*connection);
    connection->send("ping");
  });
  expect_others_are_served(runtime);
  stop = true;
  EXPECT_TRUE(server.await_closed().ok());
  EXPECT_TRUE(client.await_closed().ok());
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ConnectionFairnessTest, testing::ValuesIn(all_modes()),
                         mode_name);

}  // namespace
}  // namespace epore
