// A service of the smallest kind, and its only client: what each way to use epore has to build and
// run.
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "epore/poll/poll.h"
#include "epore/poll/version.h"
#include "epore/poll/waker.h"
#include "epore/runtime/runtime.h"

namespace {

constexpr epore::Token kWoken{7};

epore::Task<std::string> ask(std::string address) {
  epore::Connection server = co_await epore::connect(address);
  co_await server.write("hello\n");
  co_return std::string(co_await server.read_until("\n", 64));
}

epore::Task<> echo(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

absl::Status serve() {
  epore::Runtime runtime;
  absl::StatusOr<epore::Listener> listener = runtime.listen("127.0.0.1:0", echo);
  if (!listener.ok()) return listener.status();
  const absl::StatusOr<std::string> answer =
      runtime.run(ask, std::string(listener->address().to_string()));
  if (!answer.ok()) return answer.status();
  return *answer == "hello\n" ? runtime.shutdown() : absl::InternalError(*answer);
}

absl::Status wait() {
  absl::StatusOr<epore::Poll> poll = epore::Poll::create();
  if (!poll.ok()) return poll.status();
  absl::StatusOr<epore::Waker> waker = epore::Waker::create(poll->registry(), kWoken);
  if (!waker.ok()) return waker.status();
  if (absl::Status woken = waker->wake(); !woken.ok()) return woken;
  epore::Events events(8);
  absl::Status polled = poll->poll(events, absl::InfiniteDuration());
  if (!polled.ok()) return polled;
  return events.begin()->token == kWoken ? absl::OkStatus() : absl::InternalError("another token");
}

}  // namespace

int main() {
  for (const absl::Status& status : {wait(), serve()}) {
    if (!status.ok()) return epore::report(status);
  }
  std::printf("epore %s\n", epore::version());
  return 0;
}
