// The programs of docs/coming-from-asio.md.

#include <csignal>
#include <string>
#include <vector>

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
