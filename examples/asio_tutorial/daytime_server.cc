// Asio's daytime.2 and daytime.3: tells every client the time.

#include <cstdio>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"

int main(int argc, char** argv) {
  epore::Runtime runtime;
  auto listener =
      runtime.listen(argc > 1 ? argv[1] : ":13", [](epore::Connection peer) -> epore::Task<> {
        std::string now = absl::FormatTime(absl::Now()) + "\n";
        co_await peer.write(now);
      });
  if (!listener.ok()) return epore::report(listener.status());
  if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  std::printf("LISTEN %s\n", listener->address().to_string().c_str());
  std::fflush(stdout);
  return epore::report(runtime.run_until_signal());
}
