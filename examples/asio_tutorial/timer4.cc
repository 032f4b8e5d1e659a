// Asio's timer.4: the same with a member function.

#include <cstdio>

#include "epore/runtime/runtime.h"

class Printer {
 public:
  epore::Task<> run() {
    while (count_ < 5) {
      std::printf("%d\n", count_++);
      co_await ticker_.tick();
    }
    std::printf("Final count is %d\n", count_);
  }

 private:
  epore::Ticker ticker_{absl::Milliseconds(1)};
  int count_ = 0;
};

int main() {
  Printer printer;
  epore::Runtime runtime;
  return epore::report(runtime.run(&Printer::run, &printer));
}
