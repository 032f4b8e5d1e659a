// Sends every datagram back to whom it comes from.
//
// Anybody can write any address into a datagram as that of its sender. With this server's own one
// the answer would come back here, and be answered, for ever; with that of a twin on another
// machine the two would never end. So nothing goes to this server's own port: clients have others.
// A service of another kind that answers everything cannot be told from a client. Who serves the
// internet answers questions only, never answers (DNS has a bit for that), and limits how much.

#include <cstdint>
#include <cstdio>
#include <string_view>

#include "epore/runtime/runtime.h"

epore::Task<> echo(epore::UdpSocket socket) {
  const std::uint16_t own_port = socket.address().port();
  while (true) {
    // A batch of datagrams, valid until the next receive().
    for (const epore::Datagram& datagram : co_await socket.receive()) {
      if (datagram.peer.port() == own_port) continue;    // else two echoes go on for ever
      (void)socket.send(datagram.bytes, datagram.peer);  // a full queue drops, as the network does
    }
  }
}

int main(int argc, char** argv) {
  epore::Runtime runtime;
  epore::UdpOptions options;
  // "udp_echo ADDRESS offload" is for peers that send many datagrams at once, as QUIC does: the
  // system then receives them as one. Others are served somewhat faster without.
  options.receive_offload = argc > 2 && std::string_view(argv[2]) == "offload";
  absl::StatusOr<epore::UdpSocket> socket =
      runtime.udp(argc > 1 ? argv[1] : "127.0.0.1:7000", options);
  if (!socket.ok()) return epore::report(socket.status());
  if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  std::printf("LISTEN %s\n", socket->address().to_string().c_str());
  std::fflush(stdout);
  runtime.spawn(echo, *std::move(socket));
  return epore::report(runtime.run_until_signal());
}
