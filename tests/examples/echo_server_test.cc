#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"

namespace examples {
namespace {

std::string random_bytes(std::size_t size) {
  std::mt19937 random(1);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

class EchoServer : public ::testing::TestWithParam<std::vector<std::string>> {
 protected:
  static std::vector<std::string> arguments() {
    std::vector<std::string> all = {"--address=127.0.0.1:0"};
    all.insert(all.end(), GetParam().begin(), GetParam().end());
    return all;
  }

  Server server_{"echo_server", arguments()};
};

TEST_P(EchoServer, EveryByteComesBack) {
  Client client(server_.address);
  for (const std::string text : {"h", "hello", "hello again"}) {
    ASSERT_TRUE(client.send(text));
    EXPECT_EQ(client.read_exactly(text.size()), text);
  }
}

TEST_P(EchoServer, EveryByteComesBackAfterAHalfCloseAndThenTheEnd) {
  const std::string bytes = random_bytes(1 << 20);
  Client client(server_.address);
  std::thread sender([&] {
    client.send(bytes);
    client.half_close();
  });
  EXPECT_TRUE(client.read_to_end() == bytes);
  EXPECT_FALSE(client.was_reset());
  sender.join();
}

TEST_P(EchoServer, ManyClientsGetTheirOwnBytes) {
  std::vector<Client> clients;
  for (int i = 0; i < 100; ++i) clients.emplace_back(server_.address);
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i) clients[i].send(std::to_string(1000 + i));
    for (std::size_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(clients[i].read_exactly(4), std::to_string(1000 + i));
    }
  }
}

TEST_P(EchoServer, APeerThatDoesNotReadIsPaused) {
  constexpr std::size_t kMuch = 256 << 20;
  const std::string bytes = random_bytes(1 << 20);
  Client client(server_.address);
  const std::size_t sent = client.send_until_stuck(bytes, kMuch);
  ASSERT_LT(sent, kMuch);
  EXPECT_EQ(server_.counter("read_pauses", 1), 1);
  EXPECT_LT(counter(server_.counters(), "queued_bytes"), 1 << 20);

  // Others are served meanwhile, and nothing is lost once it reads.
  Client other(server_.address);
  other.send("x");
  EXPECT_EQ(other.read_exactly(1), "x");
  client.half_close();
  const std::string back = client.read_to_end();
  ASSERT_EQ(back.size(), sent);
  for (std::size_t at = 0; at < back.size(); at += bytes.size()) {
    const std::string_view part = std::string_view(back).substr(at, bytes.size());
    ASSERT_TRUE(part == std::string_view(bytes).substr(0, part.size())) << at;
  }
}

TEST_P(EchoServer, ResetsHarmNobodyElse) {
  Client good(server_.address);
  for (int i = 0; i < 20; ++i) {
    Client bad(server_.address);
    bad.send("bytes that nobody reads");
    bad.reset();
  }
  good.send("x");
  EXPECT_EQ(good.read_exactly(1), "x");
}

TEST_P(EchoServer, SigtermClosesGracefully) {
  Client client(server_.address);
  client.send("x");
  EXPECT_EQ(client.read_exactly(1), "x");
  server_.ask_to_end();
  EXPECT_TRUE(client.is_at_end());
  EXPECT_FALSE(client.was_reset());
  client.half_close();
  EXPECT_EQ(server_.process.wait().value_or(-1), 0);
  EXPECT_TRUE(is_refused(server_.address));
}

TEST_P(EchoServer, Sigusr1PrintsTheCounters) {
  Client client(server_.address);
  client.send("hello");
  EXPECT_EQ(client.read_exactly(5), "hello");
  EXPECT_THAT(server_.counters(), ::testing::MatchesRegex("\\{.*\\}"));
  EXPECT_EQ(server_.counter("connections", 1), 1);
  EXPECT_EQ(server_.counter("bytes_in", 5), 5);
  EXPECT_EQ(server_.counter("bytes_out", 5), 5);
}

INSTANTIATE_TEST_SUITE_P(
    All, EchoServer,
    ::testing::Values(std::vector<std::string>{},
                      std::vector<std::string>{"--dispatch=workers", "--selector=poll"},
                      std::vector<std::string>{"--dispatch=poll_thread"},
                      std::vector<std::string>{"--reactors=2", "--workers=2"}));

}  // namespace
}  // namespace examples
