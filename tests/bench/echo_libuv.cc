// The same echo on libuv, one loop: what is received is offered to the socket at once
// (uv_try_write), and only what it does not take is queued, as programs on libuv that care for
// speed do.

#include "tests/bench/contender_program.h"

#ifndef EPORE_HAVE_LIBUV

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "An echo server on libuv (built without it).");
  return epore::bench::skip_contender("built without libuv");
}

#else

#include <signal.h>
#include <uv.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/contender_work.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr std::size_t kHighWater = 64 * 1024;  // of what is queued: then reading pauses
constexpr int kBacklog = 4096;

ContenderWork work;

class Peer;
std::vector<Peer*> everyone;  // of a broadcast; in no other case kept

absl::Status uv_status(int error, const char* what) {
  return error == 0 ? absl::OkStatus()
                    : absl::UnknownError(absl::StrCat(what, ": ", uv_strerror(error)));
}

class Peer {
 public:
  static Peer* of(void* handle) {
    return static_cast<Peer*>(static_cast<uv_handle_t*>(handle)->data);
  }

  static void accept(uv_stream_t* listener) {
    auto* peer = new Peer;
    uv_tcp_init(listener->loop, &peer->tcp_);
    peer->tcp_.data = peer;
    uv_timer_init(listener->loop, &peer->timer_);
    peer->timer_.data = peer;
    if (uv_accept(listener, peer->stream()) != 0) return peer->close();
    uv_tcp_nodelay(&peer->tcp_, 1);
    if (work.reply == Reply::broadcast) everyone.push_back(peer);
    peer->arm();
    peer->read();
  }

  void close() {
    if (uv_is_closing(handle()) != 0) return;
    if (work.reply == Reply::broadcast) {
      everyone.erase(std::remove(everyone.begin(), everyone.end(), this), everyone.end());
    }
    // The one that is closed last deletes them both.
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), closed);
    uv_close(handle(), closed);
  }

  void send(const char* bytes, std::size_t size) {
    if (uv_is_closing(handle()) != 0) return;
    if (uv_stream_get_write_queue_size(stream()) == 0) {
      const uv_buf_t buffer = uv_buf_init(const_cast<char*>(bytes), static_cast<unsigned>(size));
      const int sent = uv_try_write(stream(), &buffer, 1);
      if (sent > 0) bytes += sent, size -= static_cast<std::size_t>(sent);
      if (size == 0) return;
      if (sent < 0 && sent != UV_EAGAIN) return close();
    }
    queue(bytes, size);
  }

 private:
  struct Write {
    uv_write_t request;
    std::string bytes;
  };

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp_); }
  uv_handle_t* handle() { return reinterpret_cast<uv_handle_t*>(&tcp_); }

  void read() {
    uv_read_start(
        stream(),
        [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
          static char shared[64 * 1024];
          *buffer = uv_buf_init(shared, sizeof shared);
        },
        [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
          Peer* const peer = of(stream);
          if (size > 0) {
            peer->answer(buffer->base, static_cast<std::size_t>(size));
          } else if (size < 0) {
            peer->has_ended_ = true;
            if (size != UV_EOF || uv_stream_get_write_queue_size(stream) == 0) peer->close();
          }
        });
  }

  // Its idle timeout, from now on.
  void arm() {
    if (!work.idle_timeout) return;
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { of(timer)->close(); },
        static_cast<std::uint64_t>(work.idle_timeout->count()), 0);
  }

  void answer(const char* bytes, std::size_t size) {
    arm();
    work.burn_for(bytes[0]);
    if (work.reply == Reply::echo) {
      send(bytes, size);
    } else if (work.reply == Reply::ten_sends) {
      for_ten_pieces(size,
                     [&](std::size_t offset, std::size_t piece) { send(bytes + offset, piece); });
    } else {
      for (Peer* const peer : std::vector<Peer*>(everyone)) peer->send(bytes, size);
    }
  }

  void queue(const char* bytes, std::size_t size) {
    auto* write = new Write{.request = {}, .bytes = std::string(bytes, size)};
    write->request.data = write;
    const uv_buf_t buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(size));
    const int error = uv_write(&write->request, stream(), &buffer, 1, [](uv_write_t* request, int) {
      uv_stream_t* const stream = request->handle;
      delete static_cast<Write*>(request->data);
      if (uv_is_closing(reinterpret_cast<uv_handle_t*>(stream)) != 0) return;
      if (uv_stream_get_write_queue_size(stream) != 0) return;
      if (of(stream)->has_ended_) return of(stream)->close();
      of(stream)->read();
    });
    if (error != 0) {
      delete write;
      return close();
    }
    if (uv_stream_get_write_queue_size(stream()) > kHighWater) uv_read_stop(stream());
  }

  static void closed(uv_handle_t* handle) {
    Peer* const peer = of(handle);
    if (--peer->open_handles_ == 0) delete peer;
  }

  uv_tcp_t tcp_;
  uv_timer_t timer_;
  int open_handles_ = 2;
  bool has_ended_ = false;  // the peer's half
};

absl::Status serve() {
  const absl::StatusOr<ContenderWork> flags = ContenderWork::from_flags();
  if (!flags.ok()) return flags.status();
  work = *flags;
  const absl::StatusOr<Endpoint> endpoint = Endpoint::parse(contender_address());
  if (!endpoint.ok()) return endpoint.status();

  uv_loop_t* const loop = uv_default_loop();
  uv_tcp_t listener = {};
  absl::Status status = uv_status(uv_tcp_init(loop, &listener), "uv_tcp_init");
  status.Update(uv_status(uv_tcp_bind(&listener, endpoint->data(), 0), "uv_tcp_bind"));
  status.Update(uv_status(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), kBacklog,
                                    [](uv_stream_t* stream, int error) {
                                      if (error == 0) Peer::accept(stream);
                                    }),
                          "uv_listen"));
  Endpoint local;
  int size = sizeof local.address;
  status.Update(
      uv_status(uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&local.address), &size),
                "uv_tcp_getsockname"));
  uv_signal_t term = {};
  status.Update(uv_status(uv_signal_init(loop, &term), "uv_signal_init"));
  status.Update(
      uv_status(uv_signal_start(
                    &term, [](uv_signal_t* signal, int) { uv_stop(signal->loop); }, SIGTERM),
                "uv_signal_start"));
  if (!status.ok()) return status;
  announce_contender(local.to_string(), uv_version_string());
  uv_run(loop, UV_RUN_DEFAULT);
  // Everything is closed and freed, so that a leak checker sees leaks alone.
  uv_walk(
      loop,
      [](uv_handle_t* handle, void*) {
        if (handle->data != nullptr) {
          Peer::of(handle)->close();
        } else if (uv_is_closing(handle) == 0) {
          uv_close(handle, nullptr);
        }
      },
      nullptr);
  uv_run(loop, UV_RUN_DEFAULT);
  uv_loop_close(loop);
  return absl::OkStatus();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "An echo server on libuv, one loop.");
  const absl::Status status = epore::bench::serve();
  return status.ok() ? 0 : epore::bench::fail_contender(status);
}

#endif  // EPORE_HAVE_LIBUV
