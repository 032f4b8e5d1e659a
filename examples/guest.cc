#include "examples/guest.h"

#include <unistd.h>

#include <cstdio>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace examples {
namespace {

epore::Task<> echo(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

}  // namespace

absl::StatusOr<epore::Listener> start_echo(epore::Runtime& runtime) {
  absl::StatusOr<epore::Listener> listener = runtime.listen("127.0.0.1:0", echo);
  if (listener.ok()) std::printf("LISTEN %s\n", listener->address().to_string().c_str());
  std::fflush(stdout);
  return listener;
}

int milliseconds(absl::Duration timeout) {
  if (timeout >= absl::Hours(1)) return timeout == absl::InfiniteDuration() ? -1 : 3'600'000;
  return static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1))));
}

bool read_input() {
  char buffer[4096];
  const ssize_t size = ::read(STDIN_FILENO, buffer, sizeof buffer);
  if (size <= 0) return false;
  std::printf("INPUT %zd\n", size);
  std::fflush(stdout);
  return true;
}

}  // namespace examples
