// What ConnectionOptions and ConnectOptions::local set, as the system tells it.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

class SocketOptionsTest : public HandlerTest {};

INSTANTIATE_TEST_SUITE_P(Everywhere, SocketOptionsTest, testing::ValuesIn(epoll_modes()),
                         mode_name);

int option_of(const Connection& connection, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  if (::getsockopt(connection.fd(), level, name, &value, &size) != 0) return -errno;
  return value;
}

void expect_set(const Connection& c) {
  EXPECT_NE(option_of(c, SOL_SOCKET, SO_KEEPALIVE), 0);
  EXPECT_EQ(option_of(c, IPPROTO_TCP, TCP_KEEPIDLE), 17);
  EXPECT_EQ(option_of(c, IPPROTO_TCP, TCP_KEEPINTVL), 4);
  EXPECT_EQ(option_of(c, IPPROTO_TCP, TCP_KEEPCNT), 5);
  EXPECT_EQ(option_of(c, IPPROTO_TCP, TCP_USER_TIMEOUT), 1501);
  EXPECT_EQ(option_of(c, IPPROTO_IP, IP_TOS), 0x48);
  // The system doubles them, for what it keeps itself (socket(7)).
  EXPECT_EQ(option_of(c, SOL_SOCKET, SO_SNDBUF), 2 * 20'000);
  EXPECT_EQ(option_of(c, SOL_SOCKET, SO_RCVBUF), 2 * 30'000);
  EXPECT_EQ(option_of(c, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 12345);
  EXPECT_EQ(option_of(c, IPPROTO_TCP, TCP_NODELAY), 0);
}

ConnectionOptions many_options() {
  return {.no_delay = false,
          .keep_alive_idle = absl::Milliseconds(16'500),  // whole seconds
          .keep_alive_interval = absl::Seconds(4),
          .keep_alive_probes = 5,
          .user_timeout = absl::Microseconds(1'500'001),
          .send_buffer = 20'000,
          .receive_buffer = 30'000,
          .traffic_class = 0x48,
          .on_socket = [](int fd) {
            const int mark = 12345;
            if (::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &mark, sizeof mark) == 0) {
              return absl::OkStatus();
            }
            return absl::ErrnoToStatus(errno, "TCP_NOTSENT_LOWAT");
          }};
}

TEST_P(SocketOptionsTest, AreThoseOfBothEnds) {
  absl::Notification served;
  Runtime runtime(options());
  const auto listener = runtime.listen("127.0.0.1:0",
                                       [&](Connection c) -> Task<> {
                                         expect_set(c);
                                         co_await c.read();
                                         served.Notify();
                                       },
                                       {.connection = many_options()});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const absl::Status status = runtime.run([&]() -> Task<> {
    Connection c = co_await connect(listener->address().to_string(), many_options());
    expect_set(c);
  });
  EXPECT_TRUE(status.ok()) << status;
  served.WaitForNotification();
}

TEST_P(SocketOptionsTest, ByDefaultPacketsDoNotWaitAndClientsThatAreGoneAreFound) {
  absl::Notification served;
  Runtime runtime(options());
  const auto check = [](const Connection& c, bool is_accepted) {
    EXPECT_NE(option_of(c, IPPROTO_TCP, TCP_NODELAY), 0);
    EXPECT_EQ(option_of(c, SOL_SOCKET, SO_KEEPALIVE), is_accepted ? 1 : 0);
    EXPECT_EQ(option_of(c, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    EXPECT_EQ(option_of(c, IPPROTO_IP, IP_TOS), 0);
  };
  const auto listener = runtime.listen("127.0.0.1:0", [&](Connection c) -> Task<> {
    check(c, true);
    co_await c.read();
    served.Notify();
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  const absl::Status status = runtime.run([&]() -> Task<> {
    Connection c = co_await connect(listener->address().to_string());
    check(c, false);
  });
  EXPECT_TRUE(status.ok()) << status;
  served.WaitForNotification();
}

TEST_P(SocketOptionsTest, AnErrorOfOnSocketEndsTheCall) {
  Runtime runtime(options());
  const ConnectionOptions refuses = {
      .on_socket = [](int) { return absl::NotFoundError("no such device"); }};
  const ConnectionOptions throws = {
      .on_socket = [](int) -> absl::Status { throw std::runtime_error("no such device"); }};
  const auto echoes = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(echoes.ok()) << echoes.status();
  for (const auto& [on_socket, code] : {std::pair(refuses, absl::StatusCode::kNotFound),
                                        std::pair(throws, absl::StatusCode::kInternal)}) {
    const ConnectionOptions set = on_socket;
    const absl::Status listened = runtime.listen("127.0.0.1:0", echo, {.connection = set}).status();
    EXPECT_EQ(listened.code(), code) << listened;
    EXPECT_TRUE(absl::StrContains(listened.message(), "no such device")) << listened;
    const absl::Status connected =
        runtime.run([&]() -> Task<> { co_await connect(echoes->address().to_string(), set); });
    EXPECT_EQ(connected.code(), code) << connected;
    EXPECT_TRUE(absl::StrContains(connected.message(), "no such device")) << connected;
  }
}

TEST_P(SocketOptionsTest, TheAddressOfThisEndIsTheOneAskedFor) {
  Runtime runtime(options());
  const auto listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const auto other = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(other.ok()) << other.status();
  const std::string address = listener->address().to_string();
  const absl::Status status = runtime.run([&]() -> Task<> {
    const SocketAddress local = co_await SocketAddress::parse("127.0.0.3:0");
    Connection first = co_await connect(address, ConnectOptions{.local = local});
    EXPECT_EQ(first.local_address().with_port(0), local);
    const SocketAddress port = first.local_address();
    // It is in use.
    const absl::Status refused =
        (co_await connect(address, ConnectOptions{.local = port}).result()).status();
    EXPECT_FALSE(refused.ok());
    first.abort();
    co_await first.closed();
    Connection second = co_await connect(address, ConnectOptions{.local = port});
    EXPECT_EQ(second.local_address(), port);
    second.close();
    co_await second.closed();
    // The system keeps the old connection for a minute (TIME_WAIT), which is in nobody's way.
    Connection third =
        co_await connect(other->address().to_string(), ConnectOptions{.local = port});
    EXPECT_EQ(third.local_address(), port);
    const SocketAddress six = co_await SocketAddress::parse("[::1]:0");
    const absl::Status mixed =
        (co_await connect(address, ConnectOptions{.local = six}).result()).status();
    EXPECT_TRUE(absl::IsInvalidArgument(mixed)) << mixed;
    EXPECT_TRUE(absl::StrContains(mixed.message(), "ConnectOptions::local is [::1]:0")) << mixed;
    const SocketAddress elsewhere = co_await SocketAddress::parse("192.0.2.1:0");
    const absl::Status not_ours =
        (co_await connect(address, ConnectOptions{.local = elsewhere}).result()).status();
    EXPECT_EQ(errno_of(not_ours), EADDRNOTAVAIL) << not_ours;
  });
  EXPECT_TRUE(status.ok()) << status;
}

// What cannot be bound to the address of this end is not tried, and its error hides no other.
TEST_P(SocketOptionsTest, AddressesOfTheOtherFamilyAreLeftOut) {
  RuntimeOptions with_name = options();
  with_name.hosts = {{"both.example", {"[::1]:0", "127.0.0.1:0"}}, {"six.example", {"[::1]:0"}}};
  Runtime runtime(with_name);
  const TcpPort refusing = refusing_port();
  const std::string port = absl::StrCat(":", refusing.port);
  const absl::Status status = runtime.run([&]() -> Task<> {
    const SocketAddress local = co_await SocketAddress::parse("127.0.0.3:0");
    const absl::Status refused =
        (co_await connect("both.example" + port, ConnectOptions{.local = local}).result()).status();
    EXPECT_EQ(errno_of(refused), ECONNREFUSED) << refused;
    EXPECT_FALSE(absl::StrContains(refused.message(), "::1")) << refused;
    const absl::Status none =
        (co_await connect("six.example" + port, ConnectOptions{.local = local}).result()).status();
    EXPECT_TRUE(absl::IsInvalidArgument(none)) << none;
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(SocketOptionsTest, UnixListenersHaveTheirsToo) {
  Runtime runtime(options());
  const absl::Status refused =
      runtime
          .listen("unix:@epore.socket_options_test", echo,
                  {.connection = {.on_socket = [](int) { return absl::NotFoundError("no"); }}})
          .status();
  EXPECT_TRUE(absl::IsNotFound(refused)) << refused;
}

TEST_P(SocketOptionsTest, TheDescriptorIsToldInTheOrderOfTheConnectionOnly) {
  EXPECT_EQ(Connection().fd(), -1);
  absl::Notification looked;
  int in_order = -1;
  Connection kept;
  absl::Notification ended;
  Runtime runtime(options());
  const auto listener = runtime.listen("127.0.0.1:0", [&](Connection& c) {
    in_order = c.fd();
    kept = c;
    c.on_closed([&](Connection& self, const absl::Status&) {
      EXPECT_EQ(self.fd(), -1);
      ended.Notify();
    });
    looked.Notify();
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  Peer peer(listener->address());
  looked.WaitForNotification();
  EXPECT_GT(in_order, 2);
  EXPECT_EQ(kept.fd(), -1);
  kept.abort();
  ended.WaitForNotification();
}

}  // namespace
}  // namespace epore
