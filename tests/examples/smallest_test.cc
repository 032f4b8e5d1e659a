// The README's programs, just as they stand there.

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"

namespace examples {
namespace {

// A network of its own for this process and its children, where every port is free.
bool enter_own_network() {
  if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  const epore::OwnedFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback = {};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  return ::ioctl(fd.get(), SIOCSIFFLAGS, &loopback) == 0;
}

class Echo : public ::testing::TestWithParam<const char*> {};

TEST_P(Echo, EchoesAndDrains) {
  if (!enter_own_network()) GTEST_SKIP() << "no network namespace: " << std::strerror(errno);
  ChildProcess server = start_program(GetParam());
  // It prints nothing, so that listening shows in connecting alone.
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (is_refused("127.0.0.1:7000")) ASSERT_LT(absl::Now(), deadline);

  Client client("127.0.0.1:7000");
  ASSERT_TRUE(client.send("hello"));
  EXPECT_EQ(client.read_exactly(5), "hello");
  ChildProcess second = start_program(GetParam());
  EXPECT_NE(second.read_error_line().value_or("").find("EADDRINUSE"), std::string::npos);
  EXPECT_EQ(second.wait().value_or(-1), 1);

  client.half_close();
  EXPECT_TRUE(client.is_at_end());
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait().value_or(-1), 0);
}

INSTANTIATE_TEST_SUITE_P(All, Echo, ::testing::Values("echo", "echo_callbacks"));

TEST(PollBasics, TellsItsStory) {
  ChildProcess process = start_program("poll_basics");
  EXPECT_EQ(process.read_line(), "the pipe says hello");
  EXPECT_EQ(process.read_line(), "woken, done");
  EXPECT_EQ(process.wait().value_or(-1), 0);
}

class UdpEcho : public ::testing::Test {
 protected:
  // A socket at `host`, with `port` or any that is free, that sends to the server.
  epore::OwnedFd client(const char* host, std::uint16_t port, int type = SOCK_DGRAM,
                        int protocol = 0) {
    epore::OwnedFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, protocol));
    const sockaddr_in own = address(host, port);
    const sockaddr_in server = address("127.0.0.1", port_);
    const timeval guard = {60, 0};
    EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard), 0);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server), 0);
    return fd;
  }

  static sockaddr_in address(const char* host, std::uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    EXPECT_EQ(::inet_pton(AF_INET, host, &address.sin_addr), 1);
    address.sin_port = htons(port);
    return address;
  }

  static void expect_echo(const epore::OwnedFd& fd) {
    ASSERT_EQ(::send(fd.get(), "hello", 5, 0), 5);
    char buffer[16];
    ASSERT_EQ(::recv(fd.get(), buffer, sizeof buffer, 0), 5);
    EXPECT_EQ(std::string(buffer, 5), "hello");
  }

  const bool is_alone_ = enter_own_network();
  Server server_{"udp_echo", {"127.0.0.1:0"}};
  const std::uint16_t port_ = static_cast<std::uint16_t>(std::stoi(server_.port()));
};

TEST_F(UdpEcho, SendsBack) {
  expect_echo(client("127.0.0.1", 0));
  EXPECT_EQ(server_.terminate(), 0);
}

// An echo elsewhere, for which somebody has forged a datagram.
TEST_F(UdpEcho, DoesNotAnswerATwin) {
  if (!is_alone_) GTEST_SKIP() << "the port may be taken";
  const epore::OwnedFd twin = client("127.0.0.2", port_);
  ASSERT_EQ(::send(twin.get(), "hello", 5, 0), 5);
  expect_echo(client("127.0.0.1", 0));  // which comes behind it
  char buffer[16];
  EXPECT_EQ(::recv(twin.get(), buffer, sizeof buffer, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
}

// How many datagrams were received in this network.
long long received_datagrams() {
  std::ifstream counters("/proc/thread-self/net/snmp");
  std::string word;
  for (int lines = 0; lines < 2 && counters >> word;) lines += word == "Udp:" ? 1 : 0;
  long long received = -1;
  counters >> received;
  return received;
}

TEST_F(UdpEcho, DoesNotAnswerItself) {
  if (!is_alone_) GTEST_SKIP() << "others send datagrams here";
  const epore::OwnedFd forger = client("127.0.0.1", 0, SOCK_RAW, IPPROTO_UDP);
  const epore::OwnedFd other = client("127.0.0.1", 0);
  const long long before = received_datagrams();
  // The header: from the server's port to the same, 13 bytes, no checksum.
  const std::uint16_t header[] = {htons(port_), htons(port_), htons(13), 0};
  std::string datagram(reinterpret_cast<const char*>(header), sizeof header);
  datagram += "hello";
  ASSERT_EQ(::send(forger.get(), datagram.data(), datagram.size(), 0), 13);
  constexpr int kRounds = 100;
  for (int i = 0; i < kRounds; ++i) expect_echo(other);
  EXPECT_EQ(received_datagrams() - before, 1 + 2 * kRounds);
}

}  // namespace
}  // namespace examples
