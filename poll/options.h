#ifndef EPORE_POLL_OPTIONS_H_
#define EPORE_POLL_OPTIONS_H_

#include <string>

namespace epore {

class Kernel;

// The options of Poll::create(). The defaults suit a service; tests and comparisons change them.
//
//   absl::StatusOr<epore::Poll> poll = epore::Poll::create({.selector = "poll"});
struct PollOptions {
  // The engine's name: "epoll", "poll" for poll(2), which is slow and portable, or "io_uring"
  // (Linux 5.19). If the name is empty, the environment variable EPORE_SELECTOR names the engine.
  // If that is empty too, the Poll takes the best engine of this system, which is never io_uring.
  // An unknown name is InvalidArgument, and the message lists the known names. A process that has
  // more rights than who started it (setuid, file capabilities) does not look at the variable, see
  // secure_getenv(3).
  std::string selector = {};

  // The way to the operating system; null means the real one. Borrowed: it must outlive the Poll
  // and its registries. Tests have others, in epore/runtime/testing.
  Kernel* kernel = nullptr;
};

}  // namespace epore

#endif  // EPORE_POLL_OPTIONS_H_
