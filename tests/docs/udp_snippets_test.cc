// The snippets of docs/guide/udp.md that are not in examples/udp_echo.cc. pages_test compares them.

#include <cerrno>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
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

epore::Task<> report_all(epore::UdpSocket socket, epore::SocketAddress collector,
                         std::vector<std::string> lines) {
  for (const std::string& line : lines) {
    co_await socket.write(line, collector);  // waits while the queue is full
  }
  // Until the system has taken all of them, or refused them (UdpCounters::send_errors).
  co_await socket.flush();
}

TEST(UdpSnippets, ReportAll) {
  epore::Runtime runtime;
  std::vector<std::string> work;
  auto socket = runtime.udp("127.0.0.1:0", [&](epore::UdpSocket& self, auto received) {
    if (!received.ok()) return;
    for (const epore::Datagram& datagram : *received) work.emplace_back(datagram.bytes.text());
    if (work.size() >= 100) self.pause_receiving();  // resume_receiving(), when the work is done
  });
  ASSERT_TRUE(socket.ok()) << socket.status();
  auto from = runtime.udp("127.0.0.1:0");
  ASSERT_TRUE(from.ok()) << from.status();
  const std::vector<std::string> lines(50, "a line");
  absl::Status status = runtime.run([&] { return report_all(*from, socket->address(), lines); });
  EXPECT_TRUE(status.ok()) << status;
  while (socket->counters().received < lines.size()) std::this_thread::yield();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(work, lines);
}

epore::Task<std::string> hear_one(epore::Runtime& runtime, std::string name,
                                  epore::SocketAddress group) {
  // The name is as "eth0", or an address that the interface has.
  const unsigned interface = co_await epore::network_interface(name);
  const std::string port = absl::StrCat(":", group.port());
  epore::UdpSocket socket = co_await runtime.udp("0.0.0.0" + port, {.reuse_address = true});
  co_await socket.join(group, interface);
  const std::span<const epore::Datagram> batch = co_await socket.receive();
  co_return std::string(batch[0].bytes.text());
}

epore::Task<> announce(epore::Runtime& runtime, std::string name, epore::SocketAddress group) {
  const unsigned interface = co_await epore::network_interface(name);
  epore::UdpSocket socket =
      co_await runtime.udp("0.0.0.0:0", {.multicast_interface = interface, .multicast_hops = 1});
  co_await socket.write("here I am", group);
  co_await socket.flush();
}

TEST(UdpSnippets, HearAndAnnounce) {
  if (!epore::network_interface("lo").ok()) GTEST_SKIP() << "no interface lo";
  epore::Runtime runtime;
  auto port = runtime.udp("0.0.0.0:0", {.reuse_address = true});  // keeps the port
  ASSERT_TRUE(port.ok()) << port.status();
  const epore::SocketAddress group =
      epore::SocketAddress::parse("239.255.77.3:0")->with_port(port->address().port());
  std::string heard;
  epore::Job listener =
      runtime.spawn([&]() -> epore::Task<> { heard = co_await hear_one(runtime, "lo", group); });
  while (!listener.status().has_value()) {  // what is sent before the join is lost
    absl::Status status = runtime.run([&] { return announce(runtime, "lo", group); });
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_TRUE(listener.wait().ok()) << listener.wait();
  EXPECT_EQ(heard, "here I am");
}

}  // namespace
