// Asio's daytime.4: asks for the time with a datagram.

#include <cstdio>

#include "absl/time/time.h"
#include "epore/runtime/runtime.h"

int main(int argc, char** argv) {
  if (argc != 2) return epore::report(absl::InvalidArgumentError("daytime_udp_client IP:PORT"));
  const auto server = epore::SocketAddress::parse(argv[1]);
  if (!server.ok()) return epore::report(server.status());
  epore::Runtime runtime;
  return epore::report(runtime.run([&]() -> epore::Task<> {
    epore::UdpSocket socket = co_await runtime.udp("", {.peer = *server});
    co_await socket.send("?");
    const auto answers = co_await epore::within(absl::Seconds(5), socket.receive());
    std::fwrite(answers[0].bytes.data(), 1, answers[0].bytes.size(), stdout);
  }));
}
