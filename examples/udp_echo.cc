// Sends every datagram back to whom it comes from.

#include <cstdio>

#include "epore/runtime/runtime.h"

epore::Task<> echo(epore::UdpSocket socket) {
  while (true) {
    // A batch of datagrams, valid until the next receive().
    for (const epore::Datagram& datagram : co_await socket.receive()) {
      (void)socket.send(datagram.bytes, datagram.peer);  // a full queue drops, as the network does
    }
  }
}

int main(int argc, char** argv) {
  epore::Runtime runtime;
  absl::StatusOr<epore::UdpSocket> socket = runtime.udp(argc > 1 ? argv[1] : "127.0.0.1:7000");
  if (!socket.ok()) return epore::report(socket.status());
  if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  std::printf("LISTEN %s\n", socket->address().to_string().c_str());
  std::fflush(stdout);
  runtime.spawn(echo, *std::move(socket));
  return epore::report(runtime.run_until_signal());
}
