// The poll layer by itself: one thread waits for a pipe, while another one registers it.

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <thread>

#include "epore/poll/poll.h"
#include "epore/poll/waker.h"

int main() {
  constexpr epore::Token kPipe{1};
  constexpr epore::Token kWaker{2};
  int ends[2];
  if (::pipe(ends) != 0) return 1;

  absl::StatusOr<epore::Poll> poll = epore::Poll::create();
  if (!poll.ok()) return 1;
  std::shared_ptr<epore::Registry> registry = poll->registry();
  absl::StatusOr<epore::Waker> waker = epore::Waker::create(registry, kWaker);
  if (!waker.ok()) return 1;

  std::thread other([&] {
    const epore::Interest interest = epore::Interest::readable().level();
    absl::Status added = registry->register_fd(ends[0], kPipe, interest);
    if (added.ok() && ::write(ends[1], "hello", 5) != 5) std::perror("write");
    absl::Status woken = waker->wake();
  });

  epore::Events events(16);
  for (bool is_done = false; !is_done;) {
    if (!poll->poll(events, absl::InfiniteDuration()).ok()) return 1;
    for (const epore::Event& event : events) {
      if (event.token == kWaker) is_done = true;
      if (event.token != kPipe || !event.is_readable()) continue;
      char text[64];
      const auto size = ::read(ends[0], text, sizeof text);
      if (size > 0) std::printf("the pipe says %.*s\n", static_cast<int>(size), text);
    }
  }
  other.join();
  std::puts("woken, done");
}
