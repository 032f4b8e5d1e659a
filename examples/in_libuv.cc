// epore as a guest in a libuv loop, as a uv_poll_t and a uv_timer_t. Clients of the printed address
// get their bytes back, and libuv counts the bytes of the standard input. At the end of the input
// the program drains and ends.

#ifndef EPORE_HAVE_LIBUV

#include <cstdio>

int main() { std::puts("SKIP built without libuv (Debian: libuv1-dev)"); }

#else

#include <unistd.h>
#include <uv.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "examples/guest.h"

namespace {

// The handles are closed when the runtime is shut down, which ends uv_run().
class Guest {
 public:
  Guest(epore::Runtime& runtime, uv_loop_t* loop, int fd) : runtime_(runtime) {
    timer_.data = poll_.data = this;
    uv_timer_init(loop, &timer_);
    uv_poll_init(loop, &poll_, fd);
    uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* poll, int, int) { turn(poll->data); });
    turn(this);
  }

 private:
  static void turn(void* self) { static_cast<Guest*>(self)->turn(); }

  void turn() {
    const absl::Status turned = runtime_.run_once(absl::ZeroDuration());
    if (!turned.ok()) {
      if (!absl::IsCancelled(turned)) (void)epore::report(turned);  // otherwise it is shut down
      uv_close(reinterpret_cast<uv_handle_t*>(&poll_), nullptr);
      uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
      return;
    }
    const int timeout = examples::milliseconds(runtime_.poll_timeout());
    if (timeout < 0) {
      uv_timer_stop(&timer_);
      return;
    }
    uv_update_time(timer_.loop);  // a timer counts from the loop's cached time
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { turn(timer->data); }, static_cast<uint64_t>(timeout), 0);
  }

  epore::Runtime& runtime_;
  uv_timer_t timer_;
  uv_poll_t poll_;
};

void on_input(uv_poll_t* input, int, int) {
  if (examples::read_input()) return;
  static_cast<epore::Runtime*>(input->data)->request_shutdown();  // run_once() carries it out
  uv_close(reinterpret_cast<uv_handle_t*>(input), nullptr);
}

}  // namespace

int main() {
  epore::Runtime runtime({.dispatch = epore::Dispatch::caller});
  absl::StatusOr<epore::Listener> listener = examples::start_echo(runtime);
  if (!listener.ok()) return epore::report(listener.status());
  absl::StatusOr<int> fd = runtime.poll_fd();
  if (!fd.ok()) return epore::report(fd.status());

  uv_loop_t loop;
  uv_loop_init(&loop);
  Guest guest(runtime, &loop, *fd);
  uv_poll_t input;
  if (const int error = uv_poll_init(&loop, &input, STDIN_FILENO); error != 0) {
    return epore::report(absl::UnavailableError(
        std::string("uv_poll_init: the input cannot be waited for: ") + uv_strerror(error)));
  }
  input.data = &runtime;
  uv_poll_start(&input, UV_READABLE, on_input);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
}

#endif
