// Says what epore takes from the environment: for secure_environment_test, which starts it with
// set-user-ID and without.

#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "epore/poll/poll.h"
#include "epore/runtime/runtime.h"

int main() {
  const absl::StatusOr<epore::Poll> poll = epore::Poll::create();
  std::printf("%s\n", poll.ok() ? std::string(poll->registry()->selector_name()).c_str() : "none");
  epore::Runtime runtime({.selector = "epoll"});
  const auto listener = runtime.listen("inherited:", [](epore::Connection&) {});
  std::printf("%s\n", std::string(listener.status().message()).c_str());
  runtime.request_shutdown();
  std::printf("%s\n", runtime.run_service().ToString().c_str());
}
