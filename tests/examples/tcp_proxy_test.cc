#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "examples/proxy_protocol.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/reserved_port.h"
#include "tests/examples/server.h"
#include "tests/examples/tool.h"

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
  epore::OwnedFd accept() const {
    return epore::OwnedFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

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

// Both sides are there, and say nothing.
TEST_F(TcpProxy, TheIdleEnd) {
  Server proxy("tcp_proxy", {origin_.address, "--address=127.0.0.1:0", "--idle-timeout=100ms"});
  Client client(proxy.address);
  (void)client.read_to_end();
  EXPECT_EQ(proxy.counter("connections", 0), 0);
  EXPECT_EQ(origin_.counter("connections", 0), 0);
  ChildProcess process = start_program("tcp_proxy", {origin_.address, "--idle-timeout=0"});
  EXPECT_NE(process.read_error_line().value_or("").find("--idle-timeout"), std::string::npos);
  EXPECT_EQ(process.wait().value_or(-1), 1);
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

// It must not take a part of what the client wanted to send for all of it.
TEST(TcpProxyOrigin, IsResetWhenTheClientIs) {
  Origin origin(1);
  Server proxy("tcp_proxy", {origin.address(), "--address=127.0.0.1:0"});
  Client client(proxy.address);
  const epore::OwnedFd accepted = origin.accept();
  ASSERT_TRUE(client.send("part"));
  char bytes[8];
  ASSERT_EQ(::recv(accepted.get(), bytes, 4, MSG_WAITALL), 4);
  client.reset();
  EXPECT_EQ(::recv(accepted.get(), bytes, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST(TcpProxyOrigin, MayRefuse) {
  const ReservedPort origin;  // nobody listens there
  Server proxy("tcp_proxy", {origin.address(), "--address=127.0.0.1:0"});
  Client client(proxy.address);
  EXPECT_TRUE(client.is_at_end());
  EXPECT_TRUE(client.was_reset());
  EXPECT_EQ(proxy.counter("handler_errors", 1), 1);
}

// Clients of an origin that refuses go to the others, and the proxy does not ask it each time.
TEST(TcpProxyOrigin, MayBeOneOfSeveral) {
  const ReservedPort refuses;
  Server echo("echo_server", {"--address=127.0.0.1:0"});
  Server other("echo_server", {"--address=127.0.0.1:0"});
  Server proxy("tcp_proxy",
               {refuses.address(), echo.address, other.address, "--address=127.0.0.1:0"});
  for (int i = 0; i < 30; ++i) {
    Client client(proxy.address);
    client.send("ping");
    EXPECT_EQ(client.read_exactly(4), "ping") << i;
  }
  EXPECT_EQ(proxy.counter("connect_errors", 1), 1);
  EXPECT_GE(echo.counter("accepts", 15), 10);
  EXPECT_GE(other.counter("accepts", 15), 10);
}

TEST(TcpProxyOrigin, MayBeToldTheClientsAddress) {
  Server echo("echo_server", {"--address=127.0.0.1:0"});
  Server proxy("tcp_proxy", {echo.address, "--proxy_protocol", "--address=127.0.0.1:0"});
  Client client(proxy.address);
  client.send("ping");
  sockaddr_in own = {};
  socklen_t size = sizeof own;
  ASSERT_EQ(::getsockname(client.fd(), reinterpret_cast<sockaddr*>(&own), &size), 0);
  const auto from = epore::SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&own), size);
  const auto to = epore::SocketAddress::parse(proxy.address);
  const std::string header = proxy_header(from, *to);
  EXPECT_EQ(header.size(), 28u);
  EXPECT_EQ(client.read_exactly(header.size()), header);
  EXPECT_EQ(client.read_exactly(4), "ping");
}

TEST(ProxyHeader, HasTheBytesOfTheDocument) {
  const auto header = [](const char* client, const char* proxy) {
    return proxy_header(*epore::SocketAddress::parse(client), *epore::SocketAddress::parse(proxy));
  };
  const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);
  EXPECT_EQ(header("1.2.3.4:258", "5.6.7.8:65535"),
            signature + std::string("\x21\x11\0\x0c\1\2\3\4\5\6\7\x8\1\2\xff\xff", 16));
  EXPECT_EQ(header("[::ffff:1.2.3.4]:258", "[::ffff:5.6.7.8]:65535"),
            header("1.2.3.4:258", "5.6.7.8:65535"));
  EXPECT_EQ(header("[::1]:1", "[::2]:2"), signature + std::string("\x21\x21\0\x24", 4) +
                                              std::string(15, '\0') + "\1" + std::string(15, '\0') +
                                              "\2" + std::string("\0\1\0\2", 4));
  EXPECT_EQ(header("unix:@a", "unix:@b"), signature + std::string("\x21\0\0\0", 4));
}

TEST(TcpProxyOrigin, MayBeAskedByCurl) {
  const Tool curl("curl");
  if (curl.is_missing()) GTEST_SKIP() << curl.why_missing();
  const std::string folder = testing::TempDir();
  const std::string bytes = random_bytes(8 << 20);
  std::ofstream(folder + "/proxied", std::ios::binary) << bytes;
  Server http("http_server", {folder, "--address=127.0.0.1:0"});
  Server proxy("tcp_proxy", {http.address, "--address=127.0.0.1:0"});
  const std::string got = folder + "/got";
  const Tool::Result result =
      curl.run({"-sS", "--fail", "-o", got, absl::StrCat("http://", proxy.address, "/proxied")});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  std::ifstream file(got, std::ios::binary);
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(file), {}) == bytes);
  EXPECT_GT(counter(proxy.counters(), "bytes_spliced"), 4 << 20);
  EXPECT_EQ(counter(http.counters(), "bytes_of_files"), 8 << 20);
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
