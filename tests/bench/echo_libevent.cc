// The same echo on libevent, one base, with its buffered streams (bufferevent): received bytes move
// from the input to the output buffer without a copy, as its own examples do.

#include "tests/bench/contender_program.h"

#ifndef EPORE_HAVE_LIBEVENT

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "An echo server on libevent (built without it).");
  return epore::bench::skip_contender("built without libevent");
}

#else

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/contender_work.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr std::size_t kHighWater = 64 * 1024;  // of what is queued: then reading pauses
constexpr int kBacklog = 4096;

ContenderWork work;
std::vector<bufferevent*> everyone;  // of a broadcast; in no other case kept

std::size_t queued(bufferevent* peer) { return evbuffer_get_length(bufferevent_get_output(peer)); }

void end(bufferevent* peer) {
  if (work.reply == Reply::broadcast) {
    everyone.erase(std::remove(everyone.begin(), everyone.end(), peer), everyone.end());
  }
  bufferevent_free(peer);
}

void on_read(bufferevent* peer, void*) {
  evbuffer* const input = bufferevent_get_input(peer);
  const std::size_t size = evbuffer_get_length(input);
  char first;
  evbuffer_copyout(input, &first, 1);
  work.burn_for(first);
  if (work.reply == Reply::echo) {
    evbuffer_add_buffer(bufferevent_get_output(peer), input);
  } else {
    const auto* bytes = reinterpret_cast<const char*>(evbuffer_pullup(input, -1));
    if (work.reply == Reply::ten_sends) {
      for_ten_pieces(size, [&](std::size_t offset, std::size_t piece) {
        bufferevent_write(peer, bytes + offset, piece);
      });
    } else {
      for (bufferevent* const other : everyone) bufferevent_write(other, bytes, size);
    }
    evbuffer_drain(input, size);
  }
  if (queued(peer) > kHighWater) bufferevent_disable(peer, EV_READ);
}

// The output is empty.
void on_written(bufferevent* peer, void* has_ended) {
  if (has_ended != nullptr) return end(peer);
  if ((bufferevent_get_enabled(peer) & EV_READ) == 0) bufferevent_enable(peer, EV_READ);
}

void on_event(bufferevent* peer, short what, void*) {
  if ((what & BEV_EVENT_EOF) == 0 || queued(peer) == 0) return end(peer);
  // What was received before the end of file goes back first.
  static char has_ended;
  bufferevent_disable(peer, EV_READ);
  bufferevent_setcb(peer, nullptr, on_written, on_event, &has_ended);
}

void on_accept(evconnlistener* listener, evutil_socket_t fd, sockaddr*, int, void*) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  bufferevent* const peer =
      bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
  // Its default of 16 KiB in one go would split larger messages.
  bufferevent_set_max_single_read(peer, 64 * 1024);
  bufferevent_set_max_single_write(peer, 64 * 1024);
  bufferevent_setcb(peer, on_read, on_written, on_event, nullptr);
  if (work.idle_timeout) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(*work.idle_timeout);
    const timeval timeout = {.tv_sec = us.count() / 1'000'000, .tv_usec = us.count() % 1'000'000};
    bufferevent_set_timeouts(peer, &timeout, &timeout);
  }
  if (work.reply == Reply::broadcast) everyone.push_back(peer);
  bufferevent_enable(peer, EV_READ | EV_WRITE);
}

absl::Status serve() {
  const absl::StatusOr<ContenderWork> flags = ContenderWork::from_flags();
  if (!flags.ok()) return flags.status();
  work = *flags;
  const absl::StatusOr<Endpoint> endpoint = Endpoint::parse(contender_address());
  if (!endpoint.ok()) return endpoint.status();

  event_base* const base = event_base_new();
  if (base == nullptr) return absl::UnknownError("event_base_new failed");
  evconnlistener* const listener =
      evconnlistener_new_bind(base, on_accept, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
                              kBacklog, endpoint->data(), sizeof endpoint->address);
  if (listener == nullptr) return absl::UnknownError("evconnlistener_new_bind failed");
  const absl::StatusOr<Endpoint> local = local_endpoint(evconnlistener_get_fd(listener));
  if (!local.ok()) return local.status();
  event* const term = evsignal_new(
      base, SIGTERM,
      [](evutil_socket_t, short, void* base) {
        event_base_loopbreak(static_cast<event_base*>(base));
      },
      base);
  event_add(term, nullptr);
  announce_contender(local->to_string(), event_get_version());
  event_base_dispatch(base);
  event_free(term);
  evconnlistener_free(listener);
  event_base_free(base);
  return absl::OkStatus();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "An echo server on libevent's bufferevents.");
  const absl::Status status = epore::bench::serve();
  // The base does not know who is connected: to a leak checker those are leaks.
  if (status.ok()) ::_exit(0);
  return epore::bench::fail_contender(status);
}

#endif  // EPORE_HAVE_LIBEVENT
