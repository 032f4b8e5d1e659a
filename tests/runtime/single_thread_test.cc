// A runtime with one reactor and Dispatch::poll_thread: every callback runs on its poll thread, so
// what they share needs no lock. What runs elsewhere is here too: on_signal().

#include <signal.h>

#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/names_kernel.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

class SingleThreadTest : public testing::TestWithParam<std::string> {
 protected:
  SingleThreadTest() { names_.add("host", {"127.0.0.1:0"}); }

  RuntimeOptions options() {
    RuntimeOptions options;
    options.dispatch = Dispatch::poll_thread;
    options.selector = GetParam();
    options.kernel = &kernel_;
    return options;
  }

  const ExpectNoFdLeak no_leak_;
  NamesKernel names_;
  FaultKernel kernel_{names_};
};

INSTANTIATE_TEST_SUITE_P(Everywhere, SingleThreadTest, testing::Values("epoll", "poll"),
                         [](const auto& info) { return info.param; });

// Neither words nor containers are guarded: ThreadSanitizer would say if two threads were here.
struct Visits {
  void operator()(const char* callback) {
    threads.insert(std::this_thread::get_id());
    callbacks.insert(callback);
  }
  std::set<std::thread::id> threads;
  std::set<std::string> callbacks;
};

TEST_P(SingleThreadTest, EveryCallbackRunsOnThePollThread) {
  Visits visit;
  int left = 4;  // connections' ends: two of each side
  absl::Notification done;
  Runtime runtime(options());
  const Order order = runtime.order();
  const auto ended = [&](const char* callback) {
    visit(callback);
    if (--left == 0) done.Notify();
  };
  const Listener listener = listen_on_loopback(runtime, [&](Connection& peer) {
    visit("accept");
    peer.on_data([&](Connection& c, std::span<const std::byte> bytes) {
      visit("data");
      c.send(bytes);
    });
    peer.on_read_closed([&](Connection& c) {
      visit("read_closed");
      c.close();
    });
    peer.on_closed([&](Connection&, const absl::Status&) { ended("accepted closed"); });
    EXPECT_TRUE(peer.post([&](Connection&) { visit("connection post"); }).ok());
    peer.timer([&](Connection&) { visit("connection timer"); }).arm(absl::ZeroDuration());
  });
  const auto connected = [&](absl::StatusOr<Connection> connection) {
    visit("connect");
    ASSERT_TRUE(connection.ok()) << connection.status();
    connection->on_data([&](Connection& c, std::span<const std::byte>) { c.shut_down_write(); });
    connection->on_closed([&](Connection&, const absl::Status&) { ended("connected closed"); });
    connection->send("x");
  };
  const std::string port = ":" + std::to_string(listener.address().port());
  absl::Notification failed;
  std::thread elsewhere([&] {
    runtime.connect("127.0.0.1" + port, connected);
    runtime.connect("host" + port, connected);
    runtime.connect("no such host:1", [&](const absl::StatusOr<Connection>& connection) {
      EXPECT_FALSE(connection.ok());
      visit("failed connect");
      failed.Notify();
    });
    EXPECT_TRUE(runtime.post([&] { visit("post"); }).ok());
    runtime.post_after(absl::ZeroDuration(), [&] { visit("post_after"); });
    EXPECT_TRUE(order.post([&] { visit("order post"); }).ok());
    order.post_after(absl::ZeroDuration(), [&] { visit("order post_after"); });
  });
  failed.WaitForNotification();
  done.WaitForNotification();
  elsewhere.join();

  Observer observer;
  Link link = open_link(runtime, observer, ListenOptions(), [&](Connection& c) {
    c.on_drain([&](Connection& d) {
      visit("drain");
      d.abort();
    });
  });
  observer.when_closed = [&](Connection&, const absl::Status&) { visit("drained closed"); };
  fence(link.connection);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(visit.threads.size(), 1u);
  EXPECT_EQ(visit.threads.count(std::this_thread::get_id()), 0u);
  const std::set<std::string> all = {"accept",
                                     "accepted closed",
                                     "connect",
                                     "connected closed",
                                     "connection post",
                                     "connection timer",
                                     "data",
                                     "drain",
                                     "drained closed",
                                     "failed connect",
                                     "order post",
                                     "order post_after",
                                     "post",
                                     "post_after",
                                     "read_closed"};
  EXPECT_EQ(visit.callbacks, all);
}

// The exception: it runs where run_until_signal() waits, and is to post what it has to tell.
TEST_P(SingleThreadTest, OnSignalRunsWhereRunUntilSignalWaits) {
  Visits visit;
  std::thread::id waits, called;
  Runtime runtime(options());
  ASSERT_TRUE(runtime.post([&] { visit("post"); }).ok());
  ASSERT_TRUE(runtime
                  .on_signal(SIGUSR1,
                             [&] {
                               called = std::this_thread::get_id();
                               EXPECT_TRUE(runtime
                                               .post([&] {
                                                 visit("post of a signal");
                                                 runtime.request_shutdown();
                                               })
                                               .ok());
                             })
                  .ok());
  ASSERT_TRUE(runtime.catch_signals().ok());
  ASSERT_EQ(::raise(SIGUSR1), 0);
  waits = std::this_thread::get_id();
  EXPECT_TRUE(runtime.run_until_signal().ok());
  EXPECT_EQ(called, waits);
  EXPECT_EQ(visit.threads.size(), 1u);
  EXPECT_EQ(visit.callbacks.size(), 2u);
}

}  // namespace
}  // namespace epore
