// The other floor: the barest echo server on io_uring that is fast. One ring, one thread; accepting
// and receiving are requests that stay (multishot), and buffers are chosen by the kernel from a
// pool of 64 MiB. A connection has its sends under way one after the other (linked), for several at
// once could change places. Whoever does not read keeps buffers of the pool, which is what makes it
// no example of a server.

#include "tests/bench/contender_program.h"

#ifndef EPORE_HAVE_LIBURING

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "A bare echo server on io_uring (not built).");
  return epore::bench::skip_contender("built without liburing");
}

#else

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/contender_work.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr unsigned kEntries = 4096;  // of the submission queue
constexpr unsigned kBuffers = 4096;  // a power of two
constexpr std::size_t kBufferSize = 16 * 1024;
constexpr int kGroup = 1;

// Low bits of a request's user data, above which is the descriptor.
enum class Request : std::uint64_t { accept, receive, send };

class Ring {
 public:
  absl::Status start() {
    // Without these, which kernels have from 6.1 on, it works as well, and slower.
    const unsigned flags[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                              IORING_SETUP_COOP_TASKRUN, 0};
    int error = -EINVAL;
    for (std::size_t i = 0; i < 3 && error == -EINVAL; ++i) {
      io_uring_params params = {};
      params.flags = flags[i] | IORING_SETUP_CQSIZE;
      params.cq_entries = 4 * kEntries;
      error = io_uring_queue_init_params(kEntries, &ring_, &params);
    }
    if (error < 0) {
      return absl::UnimplementedError(
          absl::StrCat("io_uring is refused here: ", errno_text(-error)));
    }
    void* const memory = ::mmap(nullptr, kBuffers * (kBufferSize + sizeof(io_uring_buf)),
                                PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return errno_status(errno, "mmap");
    pool_ = static_cast<io_uring_buf_ring*>(memory);
    bytes_ = static_cast<char*>(memory) + kBuffers * sizeof(io_uring_buf);
    io_uring_buf_reg registration = {};
    registration.ring_addr = reinterpret_cast<std::uint64_t>(pool_);
    registration.ring_entries = kBuffers;
    registration.bgid = kGroup;
    error = io_uring_register_buf_ring(&ring_, &registration, 0);
    if (error < 0) {
      return absl::UnimplementedError(
          absl::StrCat("this kernel's io_uring has no buffer rings: ", errno_text(-error)));
    }
    io_uring_buf_ring_init(pool_);
    for (unsigned i = 0; i < kBuffers; ++i) give_back(static_cast<int>(i));
    return absl::OkStatus();
  }

  io_uring* get() { return &ring_; }
  const char* buffer(int id) const { return bytes_ + static_cast<std::size_t>(id) * kBufferSize; }

  void give_back(int id) {
    io_uring_buf_ring_add(pool_, const_cast<char*>(buffer(id)), kBufferSize,
                          static_cast<std::uint16_t>(id), io_uring_buf_ring_mask(kBuffers), 0);
    io_uring_buf_ring_advance(pool_, 1);
  }

  // Room for so many requests that belong together.
  void reserve(unsigned count) {
    if (io_uring_sq_space_left(&ring_) < count) io_uring_submit(&ring_);
  }

 private:
  io_uring ring_;
  io_uring_buf_ring* pool_ = nullptr;
  char* bytes_ = nullptr;
};

// What is to be sent: a piece of a buffer of the pool, or of a broadcast message.
struct Piece {
  const char* bytes;
  std::size_t size;
  int buffer;  // to be given back after it; -1: none
  std::shared_ptr<const std::string> message;
};

struct Peer {
  std::deque<Piece> queue;
  std::size_t under_way = 0;  // pieces at the front of the queue whose sends are submitted
  bool is_receiving = false;
  bool has_ended = false;  // its half, or altogether
  bool is_broken = false;  // a send has failed
};

class Server {
 public:
  Server(Ring& ring, int listener, const ContenderWork& work)
      : ring_(ring), listener_(listener), work_(work) {}

  absl::Status run() {
    accept();
    for (;;) {
      const int submitted = io_uring_submit_and_wait(ring_.get(), 1);
      if (submitted < 0 && submitted != -EINTR && submitted != -EBUSY) {
        return errno_status(-submitted, "io_uring_submit_and_wait");
      }
      unsigned head, count = 0;
      io_uring_cqe* completion;
      io_uring_for_each_cqe(ring_.get(), head, completion) {
        handle(*completion);
        ++count;
      }
      io_uring_cq_advance(ring_.get(), count);
      for (const int fd : std::exchange(starved_, {})) {
        if (const auto peer = peers_.find(fd); peer != peers_.end()) receive(fd, peer->second);
      }
    }
  }

 private:
  static std::uint64_t data(int fd, Request request) {
    return static_cast<std::uint64_t>(fd) << 2 | static_cast<std::uint64_t>(request);
  }

  void accept() {
    ring_.reserve(1);
    io_uring_sqe* const entry = io_uring_get_sqe(ring_.get());
    io_uring_prep_multishot_accept(entry, listener_, nullptr, nullptr, SOCK_CLOEXEC);
    entry->user_data = data(listener_, Request::accept);
  }

  void receive(int fd, Peer& peer) {
    ring_.reserve(1);
    io_uring_sqe* const entry = io_uring_get_sqe(ring_.get());
    io_uring_prep_recv_multishot(entry, fd, nullptr, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = kGroup;
    entry->user_data = data(fd, Request::receive);
    peer.is_receiving = true;
  }

  void handle(const io_uring_cqe& completion) {
    const int fd = static_cast<int>(completion.user_data >> 2);
    const auto request = static_cast<Request>(completion.user_data & 3);
    if (request == Request::accept) {
      if (completion.res >= 0) accepted(completion.res);
      if ((completion.flags & IORING_CQE_F_MORE) == 0) accept();
      return;
    }
    Peer& peer = peers_.at(fd);  // it is there as long as a request is
    if (request == Request::receive) {
      received(fd, peer, completion);
    } else {
      sent(fd, peer, completion.res);
    }
    if (peer.has_ended && !peer.is_receiving && peer.under_way == 0) forget(fd, peer);
  }

  void accepted(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    receive(fd, peers_[fd]);
  }

  void received(int fd, Peer& peer, const io_uring_cqe& completion) {
    if ((completion.flags & IORING_CQE_F_MORE) == 0) peer.is_receiving = false;
    if (completion.res > 0) {
      const int id = static_cast<int>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
      answer(fd, peer, id, static_cast<std::size_t>(completion.res));
      if (!peer.is_receiving && !peer.has_ended) receive(fd, peer);
    } else if (completion.res == -ENOBUFS) {
      starved_.push_back(fd);  // once sends have given some back
    } else {
      if (peer.is_receiving) return;
      peer.has_ended = true;
      if (completion.res < 0) drop_queue(peer);
    }
  }

  void answer(int fd, Peer& peer, int id, std::size_t size) {
    const char* const bytes = ring_.buffer(id);
    work_.burn_for(bytes[0]);
    if (work_.reply == Reply::echo) {
      peer.queue.push_back({bytes, size, id, nullptr});
      send(fd, peer);
    } else if (work_.reply == Reply::ten_sends) {
      for_ten_pieces(size, [&](std::size_t offset, std::size_t piece) {
        const bool is_last = offset + piece == size;
        peer.queue.push_back({bytes + offset, piece, is_last ? id : -1, nullptr});
      });
      send(fd, peer);
    } else {
      const auto message = std::make_shared<const std::string>(bytes, size);
      ring_.give_back(id);
      for (auto& [other, member] : peers_) {
        if (member.has_ended) continue;
        member.queue.push_back({message->data(), size, -1, message});
        send(other, member);
      }
    }
  }

  // All that waits, if nothing is under way: linked, so that they are done in order.
  void send(int fd, Peer& peer) {
    if (peer.under_way > 0 || peer.queue.empty()) return;
    constexpr std::size_t kMost = 64;
    peer.under_way = std::min(peer.queue.size(), kMost);
    ring_.reserve(static_cast<unsigned>(peer.under_way));
    for (std::size_t i = 0; i < peer.under_way; ++i) {
      io_uring_sqe* const entry = io_uring_get_sqe(ring_.get());
      const Piece& piece = peer.queue[i];
      io_uring_prep_send(entry, fd, piece.bytes, piece.size, MSG_NOSIGNAL | MSG_WAITALL);
      if (i + 1 < peer.under_way) entry->flags |= IOSQE_IO_LINK;
      entry->user_data = data(fd, Request::send);
    }
  }

  void sent(int fd, Peer& peer, int result) {
    const Piece piece = std::move(peer.queue.front());
    peer.queue.pop_front();
    --peer.under_way;
    if (piece.buffer >= 0) ring_.give_back(piece.buffer);
    if (result != static_cast<int>(piece.size) && !peer.is_broken) {
      peer.is_broken = true;
      ::shutdown(fd, SHUT_RDWR);  // ends the receiving as well
    }
    if (peer.under_way > 0) return;
    if (peer.is_broken) return drop_queue(peer);
    send(fd, peer);
  }

  void drop_queue(Peer& peer) {
    while (peer.queue.size() > peer.under_way) {
      if (peer.queue.back().buffer >= 0) ring_.give_back(peer.queue.back().buffer);
      peer.queue.pop_back();
    }
  }

  void forget(int fd, Peer& peer) {
    drop_queue(peer);
    peers_.erase(fd);
    ::close(fd);
  }

  Ring& ring_;
  const int listener_;
  const ContenderWork work_;
  std::unordered_map<int, Peer> peers_;
  std::vector<int> starved_;  // have no request to receive, for want of buffers
};

absl::Status serve() {
  const absl::StatusOr<ContenderWork> work = ContenderWork::without_timeout_from_flags();
  if (!work.ok()) return work.status();
  absl::StatusOr<Endpoint> endpoint = Endpoint::parse(contender_address());
  if (!endpoint.ok()) return endpoint.status();
  const absl::StatusOr<OwnedFd> listener = listen_tcp(*endpoint);
  if (!listener.ok()) return listener.status();
  endpoint = local_endpoint(listener->get());
  if (!endpoint.ok()) return endpoint.status();
  static Ring ring;
  if (absl::Status status = ring.start(); !status.ok()) return status;
  announce_contender(endpoint->to_string(), "bare loop, multishot, buffer ring");
  return Server(ring, listener->get(), *work).run();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "A bare echo server on io_uring, one thread.");
  const absl::Status status = epore::bench::serve();
  if (absl::IsUnimplemented(status)) return epore::bench::skip_contender(status.message());
  return status.ok() ? 0 : epore::bench::fail_contender(status);
}

#endif  // EPORE_HAVE_LIBURING
