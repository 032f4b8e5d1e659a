// Asio's daytime.1: prints what a server says.

#include <cstdio>

#include "epore/runtime/runtime.h"

int main(int argc, char** argv) {
  if (argc != 2) return epore::report(absl::InvalidArgumentError("daytime_client HOST:PORT"));
  epore::Runtime runtime;
  return epore::report(runtime.run([address = argv[1]]() -> epore::Task<> {
    epore::Connection server = co_await epore::connect(address);
    while (epore::ByteView bytes = co_await server.read()) {
      std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    }
  }));
}
