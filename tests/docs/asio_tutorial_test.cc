// The programs of docs/coming-from-asio.md.

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "epore/poll/owned_fd.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"

namespace examples {
namespace {

std::vector<std::string> lines_of(const std::string& program,
                                  const std::vector<std::string>& arguments = {}) {
  ChildProcess process = start_program("asio_tutorial/" + program, arguments);
  std::vector<std::string> lines;
  while (std::optional<std::string> line = process.read_line()) lines.push_back(*line);
  EXPECT_EQ(process.wait().value_or(-1), 0);
  return lines;
}

TEST(AsioTutorial, Timers) {
  EXPECT_EQ(lines_of("timer1"), std::vector<std::string>{"Hello, world!"});
  const std::vector<std::string> counted = {"0", "1", "2", "3", "4", "Final count is 5"};
  EXPECT_EQ(lines_of("timer3"), counted);
  EXPECT_EQ(lines_of("timer4"), counted);
  const std::vector<std::string> both = lines_of("timer5");
  ASSERT_EQ(both.size(), 11u);
  EXPECT_EQ(both.front(), "Timer 1: 0");
  EXPECT_EQ(both.back(), "Final count is 10");
}

TEST(AsioTutorial, Daytime) {
  Server server("asio_tutorial/daytime_server", {"127.0.0.1:0"});
  EXPECT_EQ(lines_of("daytime_client", {server.address}).size(), 1u);
  EXPECT_EQ(server.terminate(), 0);
}

TEST(AsioTutorial, DaytimeWithDatagrams) {
  Server server("asio_tutorial/daytime_udp_server", {"127.0.0.1:0"});
  EXPECT_EQ(lines_of("daytime_udp_client", {server.address}).size(), 1u);
  EXPECT_EQ(server.terminate(), 0);
}

// It may be forged, and two servers would answer each other for ever.
TEST(AsioTutorial, DaytimeDoesNotAnswerAServer) {
  Server server("asio_tutorial/daytime_udp_server", {"127.0.0.1:0"});
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(server.port())));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  const epore::OwnedFd twin(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::bind(twin.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    GTEST_SKIP() << "the port is taken at 127.0.0.2";
  }
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(
      ::sendto(twin.get(), "?", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address),
      1);
  EXPECT_EQ(lines_of("daytime_udp_client", {server.address}).size(), 1u);  // asked later
  char answer;
  EXPECT_EQ(::recv(twin.get(), &answer, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST(AsioTutorial, Echo) {
  Server server("asio_tutorial/echo_server", {"127.0.0.1:0"});
  Client client(server.address);
  ASSERT_TRUE(client.send("hello"));
  EXPECT_EQ(client.read_exactly(5), "hello");
  client.half_close();
  EXPECT_TRUE(client.is_at_end());
  EXPECT_EQ(server.terminate(), 0);
}

TEST(AsioTutorial, Chat) {
  Server server("asio_tutorial/chat_server", {"127.0.0.1:0"});
  Client first(server.address);
  ASSERT_TRUE(first.send("one\n"));
  EXPECT_EQ(first.read_exactly(4), "one\n");
  Client second(server.address);
  EXPECT_EQ(second.read_exactly(4), "one\n");
  ASSERT_TRUE(second.send("two\n"));
  EXPECT_EQ(first.read_exactly(4), "two\n");
  EXPECT_EQ(second.read_exactly(4), "two\n");
  first.half_close();
  second.half_close();
  EXPECT_TRUE(first.is_at_end());
  EXPECT_TRUE(second.is_at_end());
  EXPECT_EQ(server.terminate(), 0);
}

}  // namespace
}  // namespace examples
