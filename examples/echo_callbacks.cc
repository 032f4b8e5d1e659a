#include "epore/runtime/runtime.h"

int main() {
  epore::Runtime runtime;  // one poll thread, a worker per core
  auto listener = runtime.listen("127.0.0.1:7000", [](epore::Connection& peer) {
    peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
  });
  if (!listener.ok()) return epore::report(listener.status());
  return epore::report(runtime.run_until_signal());  // drains on SIGINT and SIGTERM
}
