// Asio's daytime.5 and daytime.6: tells everybody who sends a datagram the time.

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"

epore::Task<> tell_the_time(epore::UdpSocket socket) {
  const std::uint16_t own_port = socket.address().port();
  while (true) {
    for (const epore::Datagram& question : co_await socket.receive()) {
      if (question.peer.port() == own_port) continue;  // the answer of a server, see udp_echo.cc
      std::string now = absl::FormatTime(absl::Now()) + "\n";
      (void)socket.send(now, question.peer);  // a full queue drops it: the client asks again
    }
  }
}

int main(int argc, char** argv) {
  epore::Runtime runtime;
  auto socket = runtime.udp(argc > 1 ? argv[1] : "0.0.0.0:13");
  if (!socket.ok()) return epore::report(socket.status());
  if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  std::printf("LISTEN %s\n", socket->address().to_string().c_str());
  std::fflush(stdout);
  runtime.spawn(tell_the_time, *std::move(socket));
  return epore::report(runtime.run_until_signal());
}
