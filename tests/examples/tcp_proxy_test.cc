#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "epore/poll/owned_fd.h"
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

// A socket of the test that listens, in the place of an origin.
class Origin {
 public:
  explicit Origin(int backlog) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(fd_.get(), any, size), 0);
    EXPECT_EQ(::listen(fd_.get(), backlog), 0);
    EXPECT_EQ(::getsockname(fd_.get(), any, &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }

  const std::string& address() const { return address_; }
  void close() { fd_.reset(); }

 private:
  epore::OwnedFd fd_;
  std::string address_;
};

class TcpProxy : public ::testing::Test {
 protected:
  Server origin_{"echo_server", {"--address=127.0.0.1:0"}};
  Server proxy_{"tcp_proxy", {origin_.address, "--address=127.0.0.1:0"}};
};

TEST_F(TcpProxy, PassesBytesBothWays) {
  std::vector<Client> clients;
  for (int i = 0; i < 50; ++i) clients.emplace_back(proxy_.address);
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i) clients[i].send(std::to_string(1000 + i));
    for (std::size_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(clients[i].read_exactly(4), std::to_string(1000 + i));
    }
  }
}

TEST_F(TcpProxy, AHalfCloseGoesThrough) {
  const std::string bytes = random_bytes(4 << 20);
  Client client(proxy_.address);
  std::thread sender([&] {
    client.send(bytes);
    client.half_close();
  });
  EXPECT_TRUE(client.read_to_end() == bytes);
  EXPECT_FALSE(client.was_reset());
  sender.join();
}

TEST_F(TcpProxy, AClientThatDoesNotReadIsHeldUp) {
  constexpr std::size_t kMuch = 256 << 20;
  const std::string bytes = random_bytes(1 << 20);
  Client client(proxy_.address);
  const std::size_t sent = client.send_until_stuck(bytes, kMuch);
  ASSERT_LT(sent, kMuch);
  EXPECT_LT(counter(proxy_.counters(), "queued_bytes"), 1 << 20);
  client.half_close();
  EXPECT_EQ(client.read_to_end().size(), sent);
}

TEST_F(TcpProxy, AResetOfOneSideEndsBoth) {
  Client client(proxy_.address);
  client.send("x");
  EXPECT_EQ(client.read_exactly(1), "x");
  EXPECT_EQ(proxy_.counter("connections", 2), 2);
  client.reset();
  EXPECT_EQ(proxy_.counter("connections", 0), 0);
  EXPECT_EQ(origin_.counter("connections", 0), 0);
}

TEST_F(TcpProxy, SigtermLetsItsClientsEnd) {
  Client client(proxy_.address);
  client.send("x");
  EXPECT_EQ(client.read_exactly(1), "x");
  proxy_.ask_to_end();
  while (!is_refused(proxy_.address)) continue;
  client.send("y");
  client.half_close();
  EXPECT_EQ(client.read_to_end(), "y");
  EXPECT_EQ(proxy_.process.wait().value_or(-1), 0);
}

TEST(TcpProxyOrigin, MayRefuse) {
  Origin origin(1);
  Server proxy("tcp_proxy", {origin.address(), "--address=127.0.0.1:0"});
  origin.close();
  Client client(proxy.address);
  EXPECT_TRUE(client.is_at_end());
  EXPECT_TRUE(client.was_reset());
  EXPECT_EQ(proxy.counter("handler_errors", 1), 1);
}

// Two seconds: an origin whose backlog is full does not answer.
TEST(TcpProxyOrigin, MayBeSilent) {
  Origin origin(0);
  Client first(origin.address());
  Server proxy("tcp_proxy", {origin.address(), "--address=127.0.0.1:0"});
  Client client(proxy.address);
  EXPECT_TRUE(client.is_at_end());
  EXPECT_EQ(proxy.counter("handler_errors", 1), 1);
}

}  // namespace
}  // namespace examples
