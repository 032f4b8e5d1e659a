// The coroutines of README.md, and examples of the class comments in runtime/*.h, as they stand
// there. The others are in tests/docs/header_snippets_test.cc.

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace {

TEST(RuntimeDocsTest, Connection) {
  epore::Runtime runtime;
  absl::Notification closed;

  auto listener = runtime.listen("127.0.0.1:0", [&](epore::Connection& peer) {
    peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
    peer.on_closed([&](epore::Connection&, const absl::Status& why) {
      LOG(INFO) << why;
      closed.Notify();
    });
  });

  ASSERT_TRUE(listener.ok()) << listener.status();
  runtime.connect(listener->address().to_string(), [](absl::StatusOr<epore::Connection> client) {
    ASSERT_TRUE(client.ok()) << client.status();
    client->on_data([](epore::Connection& c, std::span<const std::byte> bytes) {
      EXPECT_EQ(bytes.size(), 5u);
      c.close();
    });
    client->send("hello");
  });
  closed.WaitForNotification();
}

// clang-format off
epore::Task<std::string> ask(std::string_view address) {
  epore::Connection server = co_await epore::connect(address);  // an error ends ask() with that error
  co_return std::string(co_await server.read_until("\n", 1024));
}
epore::Task<> serve(epore::Connection client, std::string_view a, std::string_view b) {
  // A deadline for all that is inside, both at the same time; the first error stops the other.
  auto both = co_await epore::within(absl::Seconds(2), epore::all(ask(a), ask(b))).result();
  if (!both.ok()) co_return co_await client.write(both.status().message());
  co_await client.write(std::get<0>(*both) + std::get<1>(*both));
}
// clang-format on

TEST(RuntimeDocsTest, Coroutines) {
  epore::Runtime runtime;
  auto one = runtime.listen(
      "127.0.0.1:0", [](epore::Connection peer) -> epore::Task<> { co_await peer.write("one\n"); });
  auto none = runtime.listen("127.0.0.1:0", [](epore::Connection) -> epore::Task<> { co_return; });
  const std::string a = one->address().to_string();
  for (const std::string& b : {a, none->address().to_string()}) {
    auto listener =
        runtime.listen("127.0.0.1:0", [&](epore::Connection c) { return serve(c, a, b); });
    const absl::StatusOr<std::string> answer = runtime.run([&]() -> epore::Task<std::string> {
      epore::Connection c = co_await epore::connect(listener->address().to_string());
      std::string all;
      while (epore::ByteView bytes = co_await c.read()) all += bytes.text();
      co_return all;
    });
    if (a == b) {
      EXPECT_EQ(answer.value_or(""), "one\none\n");
    } else {
      EXPECT_NE(answer.value_or("").find("read_until"), std::string::npos) << *answer;
    }
    EXPECT_TRUE(listener->close_and_wait().ok());
  }
}

TEST(RuntimeDocsTest, ListenerAndCounters) {
  epore::Runtime runtime({.hosts = {{"localhost", {"127.0.0.1:0"}}}});
  const auto on_accept = [](epore::Connection&) {};

  absl::StatusOr<epore::Listener> listener = runtime.listen("localhost:0", on_accept);
  std::printf("LISTEN %s\n", listener->address().to_string().c_str());
  std::puts(runtime.counters().to_json().c_str());

  EXPECT_NE(listener->address().port(), 0);
}

TEST(RuntimeDocsTest, RuntimeOptions) {
  epore::Runtime runtime({.reactors = 2, .drain_timeout = absl::Seconds(30)});
  EXPECT_TRUE(runtime.status().ok()) << runtime.status();

  // Any member may be left out, without a warning of the compiler.
  const epore::ListenOptions listen = {.order = runtime.order()};
  const epore::ConnectOptions connect = {.timeout = absl::Seconds(1)};
  EXPECT_TRUE(listen.check().ok() && connect.check().ok());
}

TEST(RuntimeDocsTest, SocketAddress) {
  absl::StatusOr<epore::SocketAddress> address = epore::SocketAddress::parse("[::1]:8080");
  std::puts(address->to_string().c_str());
  EXPECT_EQ(address->to_string(), "[::1]:8080");
}

}  // namespace
