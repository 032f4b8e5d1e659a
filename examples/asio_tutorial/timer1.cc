// Asio's timer.1 and timer.2: waits once, and says so.

#include <cstdio>

#include "epore/runtime/runtime.h"

int main() {
  epore::Runtime runtime;
  return epore::report(runtime.run([]() -> epore::Task<> {
    co_await epore::sleep_for(absl::Milliseconds(5));
    std::puts("Hello, world!");
  }));
}
