// The smallest whole: a listener, a connection out, bytes there and back, a shutdown.

#include <span>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using EchoTest = RuntimeTest;

TEST_P(EchoTest, BytesComeBackAndBothEndsAreToldOfTheEnd) {
  Runtime runtime(options());
  ASSERT_TRUE(runtime.status().ok()) << runtime.status();
  absl::Notification server_closed;
  auto listener = runtime.listen("127.0.0.1:0", [&](Connection& peer) {
    peer.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
    peer.on_closed([&](Connection&, const absl::Status& why) {
      EXPECT_TRUE(why.ok()) << why;
      server_closed.Notify();
    });
  });
  ASSERT_TRUE(listener.ok()) << listener.status();

  const std::string sent(300'000, 'x');
  std::string received;
  absl::Notification client_closed;
  runtime.connect(listener->address().to_string(), [&](absl::StatusOr<Connection> connected) {
    ASSERT_TRUE(connected.ok()) << connected.status();
    connected->on_data([&](Connection& c, std::span<const std::byte> bytes) {
      received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      if (received.size() == sent.size()) c.close();
    });
    connected->on_closed([&](Connection&, const absl::Status& why) {
      EXPECT_TRUE(why.ok()) << why;
      client_closed.Notify();
    });
    connected->send(sent);
  });
  client_closed.WaitForNotification();
  server_closed.WaitForNotification();
  EXPECT_EQ(received, sent);
  EXPECT_TRUE(runtime.shutdown().ok());
  const Counters counters = runtime.counters();
  EXPECT_EQ(counters.connections, 0u) << counters.to_json();
  EXPECT_EQ(counters.queued_bytes, 0u) << counters.to_json();
  EXPECT_EQ(counters.accepts, 1u);
  EXPECT_EQ(counters.bytes_in, 2 * sent.size());
}

std::vector<Mode> dispatches_and_engines() {
  std::vector<Mode> all;
  for (const char* engine : {"epoll", "poll", "io_uring"}) {
    for (const Dispatch dispatch : {Dispatch::adaptive, Dispatch::workers, Dispatch::poll_thread}) {
      all.push_back({dispatch, engine});
    }
  }
  return not_refused(all);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, EchoTest, testing::ValuesIn(dispatches_and_engines()),
                         mode_name);

}  // namespace
}  // namespace epore
