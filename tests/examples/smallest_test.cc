// The README's programs, just as they stand there.

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

TEST(UdpEcho, SendsBack) {
  Server server("udp_echo", {"127.0.0.1:0"});
  const epore::OwnedFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(server.port())));
  const timeval guard = {60, 0};
  ASSERT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard), 0);
  ASSERT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::send(fd.get(), "hello", 5, 0), 5);
  char buffer[16];
  ASSERT_EQ(::recv(fd.get(), buffer, sizeof buffer, 0), 5);
  EXPECT_EQ(std::string(buffer, 5), "hello");
  EXPECT_EQ(server.terminate(), 0);
}

}  // namespace
}  // namespace examples
