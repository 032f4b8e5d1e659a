// The echo of the documentation, with a coroutine for each connection.

#include "epore/runtime/runtime.h"

int main() {
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:7000", [](epore::Connection peer) -> epore::Task<> {
    while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  });
  if (!listener.ok()) return epore::report(listener.status());
  return epore::report(runtime.run_until_signal());
}
