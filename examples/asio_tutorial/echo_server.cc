// Asio's blocking and asynchronous TCP echo servers.

#include <cstdio>

#include "epore/runtime/runtime.h"

int main(int argc, char** argv) {
  epore::Runtime runtime;
  auto listener =
      runtime.listen(argc > 1 ? argv[1] : ":7", [](epore::Connection peer) -> epore::Task<> {
        while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
      });
  if (!listener.ok()) return epore::report(listener.status());
  if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  std::printf("LISTEN %s\n", listener->address().to_string().c_str());
  std::fflush(stdout);
  return epore::report(runtime.run_until_signal());
}
