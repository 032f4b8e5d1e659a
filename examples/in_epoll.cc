// epore as a guest in an epoll loop of the program's own. The runtime has no thread: its callbacks
// run where the host loop calls run_once(). Clients of the printed address get their bytes back,
// and the host counts the bytes of its standard input. At the end of the input the program drains
// and ends.

#include <sys/epoll.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/runtime.h"
#include "examples/guest.h"

namespace {

using examples::milliseconds;
using examples::read_input;

bool add(int epoll, int fd) {
  epoll_event event = {};
  event.events = EPOLLIN;  // level-triggered
  event.data.fd = fd;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

int main() {
  epore::Runtime runtime({.dispatch = epore::Dispatch::caller});
  absl::StatusOr<epore::Listener> listener = examples::start_echo(runtime);
  if (!listener.ok()) return epore::report(listener.status());
  absl::StatusOr<int> guest = runtime.poll_fd();
  if (!guest.ok()) return epore::report(guest.status());
  const epore::OwnedFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!add(epoll.get(), *guest) || !add(epoll.get(), STDIN_FILENO)) {
    return epore::report(absl::UnavailableError("epoll_ctl: the input cannot be waited for"));
  }

  for (;;) {
    epoll_event ready[2];
    const int count = ::epoll_wait(epoll.get(), ready, 2, milliseconds(runtime.poll_timeout()));
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.fd != STDIN_FILENO || read_input()) continue;
      (void)::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
      runtime.request_shutdown();  // run_once() carries it out
    }
    const absl::Status turned = runtime.run_once(absl::ZeroDuration());
    if (absl::IsCancelled(turned)) return 0;  // it is shut down
    if (!turned.ok()) return epore::report(turned);
  }
}
