// Asio's timer.5: two timers share a counter, on the threads of the runtime. Asio puts both into a
// strand; here they are parts of one task, and so never run at the same time.

#include <cstdio>

#include "epore/runtime/runtime.h"

epore::Task<> count_to_ten(const char* name, int& count) {
  epore::Ticker ticker(absl::Milliseconds(1));
  while (count < 10) {
    std::printf("%s: %d\n", name, count++);
    co_await ticker.tick();
  }
}

int main() {
  epore::Runtime runtime;
  return epore::report(runtime.run([]() -> epore::Task<> {
    int count = 0;
    co_await epore::all(count_to_ten("Timer 1", count), count_to_ten("Timer 2", count));
    std::printf("Final count is %d\n", count);
  }));
}
