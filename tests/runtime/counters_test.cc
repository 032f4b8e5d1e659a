// Counters: exact, and gauges that come back to zero.

#include "epore/runtime/counters.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

using CountersTest = RuntimeTest;

INSTANTIATE_TEST_SUITE_P(Everywhere, CountersTest, testing::ValuesIn(all_modes()), mode_name);

TEST(CountersJsonTest, EveryNumberHasItsNameInOneLine) {
  Counters counters;
  counters.connections = 1;
  counters.high_marks = 2;
  counters.selector_reason = "a \"b\"";
  counters.system_calls = {{"recvfrom", 17}, {"sendto", 4}};
  counters.queue_delay[2] = 3;
  counters.queue_delay.back() = 1;
  const std::string json = counters.to_json();
  EXPECT_EQ(json.find('\n'), std::string::npos);
  EXPECT_EQ(json.find("{\"connections\":1,\"queued_bytes\":0,"), 0u) << json;
  EXPECT_NE(json.find("\"high_marks\":2,\"stuck_callbacks\":0,"), std::string::npos) << json;
  EXPECT_NE(json.find("\"queue_delay_us\":{\"1\":0,\"2\":0,\"4\":3,\"8\":0,"), std::string::npos)
      << json;
  EXPECT_NE(json.find(",\"1048576\":0,\"more\":1},\"selector\":\"\",\"selector_reason\":\"a "
                      "'b'\",\"system_calls\":{\"recvfrom\":17,\"sendto\":4}}"),
            std::string::npos)
      << json;
  EXPECT_EQ(counters.system_call("recvfrom"), 17u);
  EXPECT_EQ(counters.system_call("bind"), 0u);
}

TEST(CountersQueueDelayTest, TheBoundOfAPartOfTheSample) {
  Counters counters;
  EXPECT_EQ(counters.queue_delay_us(0.5), 0u);
  counters.queue_delay[0] = 90;
  counters.queue_delay[4] = 9;
  counters.queue_delay[Counters::kDelayBuckets - 1] = 1;
  EXPECT_EQ(counters.queue_delay_us(0), 1u);
  EXPECT_EQ(counters.queue_delay_us(0.9), 1u);
  EXPECT_EQ(counters.queue_delay_us(0.91), 16u);
  EXPECT_EQ(counters.queue_delay_us(0.99), 16u);
  EXPECT_EQ(counters.queue_delay_us(1), std::numeric_limits<std::uint64_t>::max());
}

std::uint64_t samples(const Counters& counters) {
  return std::accumulate(counters.queue_delay.begin(), counters.queue_delay.end(),
                         std::uint64_t{0});
}

TEST_P(CountersTest, TheQueueDelayOfOnePostOf64IsNoted) {
  constexpr int kPosts = 640;
  absl::BlockingCounter ran(2 * kPosts);
  Runtime runtime(options());
  const Order order = runtime.order();
  for (int i = 0; i < kPosts; ++i) {
    ASSERT_TRUE(runtime.post([&] { ran.DecrementCount(); }).ok());
    ASSERT_TRUE(order.post([&] { ran.DecrementCount(); }).ok());
  }
  ran.Wait();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(samples(runtime.counters()), 20u);
  EXPECT_EQ(runtime.counters().posts, 2u * kPosts);
  EXPECT_EQ(runtime.counters().callbacks, 2u * kPosts);
}

TEST_P(CountersTest, TheQueueDelayOfEventsIsNoted) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  for (int i = 0; i < 1000; ++i) {
    link.peer.send("x");
    ASSERT_EQ(link.peer.receive(1), "x");
  }
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_GE(samples(runtime.counters()), 1u);
}

// The delay is exact on a clock that the test moves.
TEST(CountersQueueDelayTest, CountsFromThePost) {
  ClockKernel clock;
  absl::Notification is_in;
  absl::Notification may_return;
  Runtime runtime({.dispatch = Dispatch::poll_thread, .kernel = &clock});
  ASSERT_TRUE(runtime
                  .post([&] {
                    is_in.Notify();
                    may_return.WaitForNotification();
                  })
                  .ok());
  is_in.WaitForNotification();
  for (int i = 1; i < 64; ++i) ASSERT_TRUE(runtime.post([] {}).ok());
  clock.advance(absl::Milliseconds(3));
  may_return.Notify();
  EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
  const Counters counters = runtime.counters();
  EXPECT_EQ(samples(counters), 1u);
  EXPECT_EQ(counters.queue_delay[12], 1u);  // 2,048 to 4,095 us
  EXPECT_EQ(counters.queue_delay_us(1), 4096u);
}

TEST_P(CountersTest, TheyCountWhatHappened) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send("hello");
  (void)observer.await_bytes(5);
  link.connection.send("good day");
  EXPECT_EQ(link.peer.receive(8), "good day");
  fence(link.connection);
  Counters counters = runtime.counters();
  EXPECT_EQ(counters.connections, 1u);
  EXPECT_EQ(counters.accepts, 1u);
  EXPECT_EQ(counters.bytes_in, 5u);
  EXPECT_EQ(counters.bytes_out, 8u);
  EXPECT_EQ(counters.posts, 1u);  // the fence
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_TRUE(runtime.shutdown().ok());
  counters = runtime.counters();
  EXPECT_EQ(counters.connections, 0u);
  EXPECT_EQ(counters.callbacks, 5u);  // accepted, data, the fence, read closed, closed
  EXPECT_EQ(counters.callback_exceptions, 0u);
  // A thread counts the events of a turn behind their callbacks.
  EXPECT_GE(counters.polls, 1u);
  EXPECT_GE(counters.events, 3u);  // a client, its bytes, its end
  EXPECT_EQ(counters.system_call("accept4"),
            kernel_.counts()[static_cast<std::size_t>(KernelCall::kAccept)]);
}

TEST_P(CountersTest, F43QueuedBytesComeBackToZeroHoweverTheConnectionEnds) {
  for (int end = 0; end < 4; ++end) {
    Observer observer;
    Runtime runtime(options());
    Link link = open_link(runtime, observer);
    // More than the system takes, from a thread of the test's own and from a callback.
    const std::string bytes = pattern(8 * 1024 * 1024);
    link.connection.send(bytes);
    absl::Notification sent;
    ASSERT_TRUE(link.connection
                    .post([&](Connection& c) {
                      c.send(bytes);
                      sent.Notify();
                    })
                    .ok());
    sent.WaitForNotification();
    EXPECT_GT(runtime.counters().queued_bytes, 0u);
    EXPECT_GT(link.connection.queued_bytes(), 0u);
    switch (end) {
      case 0:
        link.connection.abort();
        break;
      case 1:
        link.peer.reset();
        break;
      case 2:
        EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
        break;
      default:
        link.connection.close();
        EXPECT_EQ(link.peer.receive_all().size(), 2 * bytes.size());
        link.peer.close();
    }
    (void)observer.await_closed();
    EXPECT_EQ(link.connection.queued_bytes(), 0u);
    EXPECT_EQ(runtime.counters().queued_bytes, 0u);
    EXPECT_EQ(runtime.counters().connections, 0u);
  }
}

TEST_P(CountersTest, F43PermitsComeBackFromEveryWayAConnectionCanFail) {
  const TcpPort refusing = refusing_port();
  RuntimeOptions limited = options();
  limited.max_connections = 2;
  Runtime runtime(limited);
  const auto fails = [&](const SocketAddress& address, absl::StatusCode code) {
    absl::Notification told;
    runtime.connect(address.to_string(), [&](absl::StatusOr<Connection> connected) {
      EXPECT_EQ(connected.status().code(), code) << connected.status();
      told.Notify();
    });
    told.WaitForNotification();
  };
  for (int error : {0, ECONNABORTED, EINTR, EMFILE}) {
    Observer accepted;
    Observer connected;
    absl::StatusOr<SocketAddress> refused =
        SocketAddress::parse("127.0.0.1:" + std::to_string(refusing.port));
    fails(*refused, absl::StatusCode::kUnavailable);
    // One connection through an attempt and an accept takes both permits.
    if (error != 0) kernel_.fail(KernelCall::kAccept, error);
    Connection first;
    Listener listener = listen_on_loopback(runtime, [&](Connection& c) {
      accepted.watch(c);
      first = c;
    });
    runtime.connect(listener.address().to_string(), [&](absl::StatusOr<Connection> c) {
      ASSERT_TRUE(c.ok()) << c.status();
      connected.watch(*c);
      c->send("x");
    });
    (void)accepted.await_bytes(1);
    EXPECT_EQ(runtime.counters().connections, 2u);
    fails(listener.address(), absl::StatusCode::kResourceExhausted);
    first.abort();
    EXPECT_EQ(accepted.await_closed().code(), absl::StatusCode::kCancelled);
    (void)connected.await_closed();
    first = Connection();
    listener.close();
    EXPECT_EQ(runtime.counters().connections, 0u);
  }
}

TEST_P(CountersTest, TimersArmedComesBackToZero) {
  Runtime runtime(options());
  std::vector<Timer> timers;
  for (int i = 0; i < 10; ++i) {
    timers.push_back(runtime.timer([] {}));
    timers.back().arm(absl::Hours(i + 1));
  }
  EXPECT_EQ(runtime.counters().timers_armed, 10u);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(timers[static_cast<std::size_t>(i)].cancel());
  EXPECT_EQ(runtime.counters().timers_armed, 5u);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().timers_armed, 0u);
}

TEST_P(CountersTest, ASnapshotMayBeTakenByAnyThreadWhileOthersCount) {
  constexpr int kPosts = 2000;
  absl::BlockingCounter ran(kPosts);
  Runtime runtime(options());
  std::atomic<bool> is_over{false};
  std::thread reader([&] {
    std::uint64_t last = 0;
    while (!is_over) {
      const Counters counters = runtime.counters();
      EXPECT_GE(counters.callbacks, last);
      EXPECT_EQ(counters.connections, 0u);
      last = counters.callbacks;
    }
  });
  for (int i = 0; i < kPosts; ++i) {
    ASSERT_TRUE(runtime.post([&] { ran.DecrementCount(); }).ok());
  }
  ran.Wait();
  is_over = true;
  reader.join();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().callbacks, static_cast<std::uint64_t>(kPosts));
  EXPECT_EQ(runtime.counters().posts, static_cast<std::uint64_t>(kPosts));
}

}  // namespace
}  // namespace epore
