// The smallest whole: a listener, a connection out, bytes there and back, a shutdown.

#include <span>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

class EchoTest : public testing::TestWithParam<std::pair<Dispatch, std::string>> {
 protected:
  RuntimeOptions options() const {
    RuntimeOptions options;
    options.workers = 2;
    options.dispatch = GetParam().first;
    options.selector = GetParam().second;
    return options;
  }
};

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

INSTANTIATE_TEST_SUITE_P(Everywhere, EchoTest,
                         testing::Values(std::pair(Dispatch::adaptive, std::string("epoll")),
                                         std::pair(Dispatch::workers, std::string("epoll")),
                                         std::pair(Dispatch::poll_thread, std::string("epoll")),
                                         std::pair(Dispatch::adaptive, std::string("poll")),
                                         std::pair(Dispatch::workers, std::string("poll")),
                                         std::pair(Dispatch::poll_thread, std::string("poll")),
                                         std::pair(Dispatch::adaptive, std::string("io_uring")),
                                         std::pair(Dispatch::workers, std::string("io_uring")),
                                         std::pair(Dispatch::poll_thread, std::string("io_uring"))),
                         [](const auto& info) {
                           return std::string(dispatch_name(info.param.first)) + "_" +
                                  info.param.second;
                         });

}  // namespace
}  // namespace epore
