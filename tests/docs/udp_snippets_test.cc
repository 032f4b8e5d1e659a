// The snippets of docs/guide/udp.md that are not in examples/udp_echo.cc. pages_test compares them.

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

}  // namespace
