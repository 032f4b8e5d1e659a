// The snippets of docs/guide/udp.md that are not in examples/udp_echo.cc. pages_test compares them.

#include <cerrno>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace {

epore::Task<std::string> ask(epore::Runtime& runtime, epore::SocketAddress server) {
  epore::UdpSocket socket = co_await runtime.udp("", {.peer = server});
  for (int attempt = 0; attempt < 3; ++attempt) {
    co_await socket.send("time?");
    auto answer = co_await epore::within(absl::Seconds(1), socket.receive()).result();
    if (answer.ok()) co_return std::string((*answer)[0].bytes.text());
  }
  co_return "";
}

TEST(UdpSnippets, AskAndAnswer) {
  epore::Runtime runtime;
  auto socket = runtime.udp("127.0.0.1:0", [&](epore::UdpSocket& self, auto received) {
    if (!received.ok()) return;  // of a connected socket: see below
    for (const epore::Datagram& datagram : *received)
      (void)self.send(datagram.bytes, datagram.peer);
  });
  ASSERT_TRUE(socket.ok()) << socket.status();
  absl::StatusOr<std::string> answer =
      runtime.run([&]() -> epore::Task<std::string> { return ask(runtime, socket->address()); });
  EXPECT_EQ(answer.value_or("?"), "time?");
}

epore::Task<> ask_all(epore::UdpSocket socket, std::set<std::string>& servers) {
  for (const std::string& server : servers) {
    epore::SocketAddress address = co_await epore::SocketAddress::parse(server);
    co_await socket.send("time?", address);
  }
  while (!servers.empty()) {
    auto received = co_await socket.receive().result();  // an error does not end this
    if (received.ok()) {
      for (const epore::Datagram& answer : *received) servers.erase(answer.peer.to_string());
    } else if (epore::errno_of(received.status()) == ECONNREFUSED) {
      servers.erase(epore::peer_of(received.status()).to_string());
    } else {
      co_await received.status();
    }
  }
}

TEST(UdpSnippets, AskAllAndForgetThoseThatAreGone) {
  epore::Runtime runtime;
  auto server = runtime.udp("127.0.0.1:0", [&](epore::UdpSocket& self, auto received) {
    if (!received.ok()) return;
    for (const epore::Datagram& question : *received) (void)self.send("noon", question.peer);
  });
  ASSERT_TRUE(server.ok()) << server.status();
  auto socket = runtime.udp("127.0.0.1:0", {.icmp_errors = true});
  ASSERT_TRUE(socket.ok()) << socket.status();
  auto gone = runtime.udp("127.0.0.1:0");
  ASSERT_TRUE(gone.ok()) << gone.status();
  std::set<std::string> servers = {server->address().to_string(), gone->address().to_string()};
  absl::Status status = runtime.run([&]() -> epore::Task<> {
    gone->close();
    const auto is_closed = co_await gone->receive().result();  // returns when it is
    EXPECT_FALSE(is_closed.ok());
    co_await ask_all(*socket, servers);
  });
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
