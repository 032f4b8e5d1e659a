#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

std::string address_of(const absl::StatusOr<Listener>& listener) {
  return listener->address().to_string();
}

TEST(ConnectionAwait, Echo) {
  Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0", [](Connection peer) -> Task<> {
    while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  absl::Status done = runtime.run([&]() -> Task<> {
    Connection c = co_await connect(address_of(listener));
    for (int i = 0; i < 1000; ++i) {
      std::string text = "hello " + std::to_string(i) + "\n";
      co_await c.write(text);
      ByteView line = co_await c.read_until("\n", 100);
      EXPECT_EQ(line.text(), text);
    }
    std::string large(10'000'000, 'x');
    co_await all(c.write(large), [](Connection& c) -> Task<> {
      ByteView all = co_await c.read_exactly(10'000'000);
      EXPECT_EQ(all.size(), 10'000'000u);
    }(c));
    c.shut_down_write();
    ByteView end = co_await c.read();
    EXPECT_TRUE(end.empty());
  });
  EXPECT_TRUE(done.ok()) << done;
}

Task<> pump(Connection from, Connection to) {
  while (ByteView bytes = co_await from.read()) co_await to.write(bytes);
  to.shut_down_write();
}

TEST(ConnectionAwait, Proxy) {
  Runtime runtime;
  auto echo = runtime.listen("127.0.0.1:0", [](Connection peer) -> Task<> {
    while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  });
  auto proxy = runtime.listen("127.0.0.1:0", [&](Connection client) -> Task<> {
    Connection origin = co_await within(absl::Hours(1), connect(address_of(echo)));
    co_await all(pump(client, origin), pump(origin, client));
  });
  absl::Status done = runtime.run([&]() -> Task<> {
    Connection c = co_await connect(address_of(proxy));
    for (int i = 0; i < 1000; ++i) {
      std::string text = "hello " + std::to_string(i) + "\n";
      co_await c.write(text);
      ByteView line = co_await c.read_until("\n", 100);
      EXPECT_EQ(line.text(), text);
    }
    c.shut_down_write();
    ByteView end = co_await c.read();
    EXPECT_TRUE(end.empty());
  });
  EXPECT_TRUE(done.ok()) << done;
}

// A coroutine that a timer has resumed, and not its connection.
TEST(ConnectionAwait, ConsumeTakesEffectBeforeTheNextRead) {
  Runtime runtime;
  std::string seen;
  auto listener = runtime.listen("127.0.0.1:0", [&](Connection peer) -> Task<> {
    while (!(co_await peer.peek()).empty()) {
      co_await sleep_for(absl::ZeroDuration());
      seen += (co_await peer.peek()).text().front();
      peer.consume(1);
    }
    co_await peer.write(".");
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  absl::Status done = runtime.run([&]() -> Task<> {
    Connection c = co_await connect(address_of(listener));
    co_await c.write("0123456789");
    c.shut_down_write();
    co_await c.read_exactly(1);
  });
  EXPECT_TRUE(done.ok()) << done;
  EXPECT_EQ(seen, "0123456789");
}

TEST(ConnectionAwait, ReadWithin) {
  Runtime runtime;
  auto silent =
      runtime.listen("127.0.0.1:0", [](Connection peer) -> Task<> { co_await peer.read(); });
  absl::Status done = runtime.run([&]() -> Task<> {
    Connection c = co_await connect(address_of(silent));
    co_await within(absl::Nanoseconds(1), c.read());
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(done)) << done;
}

}  // namespace
}  // namespace epore
