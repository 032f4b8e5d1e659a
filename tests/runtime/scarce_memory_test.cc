// What becomes of a connection when one of its calls finds no memory.

#include "tests/support/scarce_memory.h"

#include <cerrno>
#include <cstddef>
#include <functional>
#include <new>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using ScarceMemoryTest = RuntimeTest;

struct NamedCall {
  const char* name;
  std::function<void(Connection&)> make;
};

std::vector<NamedCall> calls() {
  static const std::string much(1'000'000, 'x');
  static const std::string some(100, 'x');
  static const std::vector<ByteView> views(20, ByteView(some));
  static const Bytes shared(much);
  static const std::vector<Bytes> pieces = {shared.slice(0, 100), shared.slice(0, 1'000), shared};
  return {
      {"send some", [](Connection& c) { (void)c.send(some); }},
      {"send much", [](Connection& c) { (void)c.send(much); }},
      {"send both",
       [](Connection& c) {
         (void)c.send(some);
         (void)c.send(much);
       }},
      {"send views",
       [](Connection& c) {
         (void)c.send({some, much, some});
       }},
      {"send many views", [](Connection& c) { (void)c.send(views); }},
      {"send shared", [](Connection& c) { (void)c.send(shared); }},
      {"send pieces", [](Connection& c) { (void)c.send(pieces); }},
      {"send all kinds",
       [](Connection& c) {
         (void)c.send(some);
         (void)c.send(pieces);
         (void)c.send(some);
       }},
      {"on_data", [](Connection& c) { c.on_data([](Connection&, std::span<const std::byte>) {}); }},
      {"on_read_closed", [](Connection& c) { c.on_read_closed([](Connection&) {}); }},
      {"on_writable", [](Connection& c) { c.on_writable([](Connection&) {}); }},
      {"on_drain", [](Connection& c) { c.on_drain([](Connection&) {}); }},
      {"pause", [](Connection& c) { c.pause_reading(); }},
      {"resume", [](Connection& c) { c.resume_reading(); }},
      {"shut_down_write", [](Connection& c) { c.shut_down_write(); }},
      {"close", [](Connection& c) { c.close(); }},
      {"abort", [](Connection& c) { c.abort(); }},
      {"post", [](Connection& c) { (void)c.post([](Connection&) {}); }},
      {"timer", [](Connection& c) { (void)c.timer([](Connection&) {}); }},
  };
}

// Makes the call with its k-th allocation failing. Whether that came.
bool make(const NamedCall& call, Connection& connection, int k) {
  ScarceMemory::fail(k);
  try {
    call.make(connection);
  } catch (const std::bad_alloc&) {
    ScarceMemory::stop();
    ADD_FAILURE() << call.name << " threw at allocation " << k;
  }
  return ScarceMemory::stop();
}

// The connection goes on or ends, and nothing of it stays.
void expect_end(Runtime& runtime, Link& link, Observer& observer) {
  link.connection.abort();
  (void)observer.await_closed();
  EXPECT_FALSE(link.connection.is_open());
  while (link.connection.queued_bytes() != 0) std::this_thread::yield();  // dropped after closed
  while (runtime.counters().queued_bytes != 0) std::this_thread::yield();
}

TEST_P(ScarceMemoryTest, NoCallFromElsewhereThrowsOrLeavesAnything) {
  Runtime runtime(options());
  for (const NamedCall& call : calls()) {
    bool was_reached = true;
    for (int k = 1; was_reached; ++k) {
      Observer observer;
      Link link = open_link(runtime, observer);
      was_reached = make(call, link.connection, k);
      expect_end(runtime, link, observer);
    }
  }
  EXPECT_TRUE(runtime.shutdown().ok());
}

TEST_P(ScarceMemoryTest, NoCallFromACallbackThrowsOrLeavesAnything) {
  Runtime runtime(options());
  for (const NamedCall& call : calls()) {
    bool was_reached = true;
    for (int k = 1; was_reached; ++k) {
      Observer observer;
      Link link = open_link(runtime, observer);
      absl::Notification called;
      ASSERT_TRUE(link.connection
                      .post([&](Connection& c) {
                        was_reached = make(call, c, k);
                        called.Notify();
                      })
                      .ok());
      called.WaitForNotification();
      expect_end(runtime, link, observer);
    }
  }
  EXPECT_TRUE(runtime.shutdown().ok());
}

TEST_P(ScarceMemoryTest, ASendFromElsewhereWithoutMemoryEndsTheConnection) {
  const std::string much(1'000'000, 'x');
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  ScarceMemory::fail(1);
  const SendResult result = link.connection.send(much);
  EXPECT_TRUE(ScarceMemory::stop());
  EXPECT_EQ(result, SendResult::no_memory);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
  EXPECT_EQ(link.peer.end(), ECONNRESET);
}

// What has left already is not sent again.
TEST_P(ScarceMemoryTest, ASendFromACallbackWithoutMemorySendsNothingTwice) {
  const std::string much = pattern(50'000);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  kernel_.shrink_sends(3);
  kernel_.fail(KernelCall::kSendmsg, EAGAIN, 2, 1);
  kernel_.fail(KernelCall::kSend, EAGAIN, 2, FaultKernel::kAlways);
  SendResult result = SendResult::queued;
  ASSERT_TRUE(link.connection
                  .post([&](Connection& c) {
                    (void)c.send("abc");
                    ScarceMemory::fail(1);  // of the write queue
                    result = c.send(much);
                    EXPECT_TRUE(ScarceMemory::stop());
                    EXPECT_EQ(c.send("abc"), SendResult::closed);
                  })
                  .ok());
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(result, SendResult::no_memory);
  const std::string received = link.peer.receive_all();
  EXPECT_TRUE(received.empty() || received == "abc") << received;  // the reset may destroy it
}

// What was gathered finds no room behind the callback, and no memory to be queued.
TEST_P(ScarceMemoryTest, ARunWithoutMemoryEndsTheConnection) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  kernel_.fail(KernelCall::kSend, EAGAIN);
  kernel_.before(KernelCall::kSend, [](const FaultKernel::Call&) { ScarceMemory::fail(1); });
  ASSERT_TRUE(link.connection.post([&](Connection& c) { EXPECT_TRUE(c.send("abc").ok()); }).ok());
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
}

TEST_P(ScarceMemoryTest, AnOrderWithoutMemorySaysSoAndGoesOn) {
  Runtime runtime(options());
  const Order order = runtime.order();
  int ran = 0;
  int accepted = 0;
  bool was_reached = true;
  for (int k = 1; was_reached; ++k) {
    ScarceMemory::fail(k);
    const absl::Status posted = order.post([&] { ++ran; });
    was_reached = ScarceMemory::stop();
    if (posted.ok()) {
      ++accepted;  // counting does without memory
    } else {
      EXPECT_EQ(posted.code(), absl::StatusCode::kResourceExhausted);
    }
  }
  ScarceMemory::fail(1);
  const Order missing = runtime.order();
  EXPECT_TRUE(ScarceMemory::stop());
  EXPECT_NE(missing, Order());
  EXPECT_EQ(missing.post([] { ADD_FAILURE(); }).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(missing.timer([] { ADD_FAILURE(); }).arm(absl::ZeroDuration()));
  ListenOptions listen;
  listen.order = missing;
  EXPECT_EQ(runtime
                .listen(
                    "127.0.0.1:0", [](Connection&) {}, listen)
                .status()
                .code(),
            absl::StatusCode::kResourceExhausted);
  absl::Notification refused;
  ConnectOptions connect;
  connect.order = missing;
  (void)runtime.connect(
      "127.0.0.1:1",
      [&](const absl::StatusOr<Connection>& connection) {
        EXPECT_EQ(connection.status().code(), absl::StatusCode::kResourceExhausted);
        refused.Notify();
      },
      connect);
  refused.WaitForNotification();
  ScarceMemory::fail(1);
  Timer none = order.timer([] { ADD_FAILURE(); });
  EXPECT_TRUE(ScarceMemory::stop());
  none.arm(absl::ZeroDuration());
  EXPECT_FALSE(none.is_armed());
  absl::Notification done;
  ASSERT_TRUE(order.post([&] { done.Notify(); }).ok());
  done.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(ran, accepted);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ScarceMemoryTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
