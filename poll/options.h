#ifndef EPORE_POLL_OPTIONS_H_
#define EPORE_POLL_OPTIONS_H_

#include <string>

namespace epore {

class Kernel;

// How a Poll is made.
struct PollOptions {
  // The engine: "epoll" or "poll" (poll(2), the slow and portable reference). Empty: the variable
  // EPORE_SELECTOR of the environment if it is set and not empty, otherwise the best this system
  // has. A name that is not known is an error that lists the known ones.
  std::string selector;

  // The way to the operating system; null: the real one. For epore's own tests, which alone see its
  // header. Must outlive the Poll and its registries.
  Kernel* kernel = nullptr;
};

}  // namespace epore

#endif  // EPORE_POLL_OPTIONS_H_
