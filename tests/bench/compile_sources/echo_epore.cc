// The echo of the documentation.

#include "epore/runtime/runtime.h"

int main() {
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:7000", [](epore::Connection& peer) {
    peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
  });
  if (!listener.ok()) return epore::report(listener.status());
  return epore::report(runtime.run_until_signal());
}
