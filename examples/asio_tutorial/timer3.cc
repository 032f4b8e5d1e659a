// Asio's timer.3: counts five times, with the same interval in between.

#include <cstdio>

#include "epore/runtime/runtime.h"

int main() {
  epore::Runtime runtime;
  return epore::report(runtime.run([]() -> epore::Task<> {
    epore::Ticker ticker(absl::Milliseconds(1));
    for (int count = 0; count < 5; ++count) {
      std::printf("%d\n", count);
      co_await ticker.tick();
    }
    std::puts("Final count is 5");
  }));
}
