// The other floor: the barest echo server on io_uring that is fast. One ring, one thread; accepting
// and receiving are requests that stay (multishot), and the kernel takes the buffers from a pool. A
// connection has one send under way, for several at once could change places; what waits meanwhile
// leaves with the next one. The kernel goes through the whole pool before it takes a buffer again,
// so the pool is small while that is enough: with 1,024 buffers at first each message touched
// memory that the caches had lost, which cost up to a sixth of an echo. Whoever does not read keeps
// buffers of the pool, which is what makes it no example of a server.

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
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
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
constexpr unsigned kFirstBuffers = 64;
constexpr unsigned kMostBuffers =
    16 * 1024;  // a power of two; memory that is not used is not there
constexpr std::size_t kBufferSize = 4096;
constexpr std::size_t kStride = kBufferSize + 64;  // or all would begin in the same set of a cache
constexpr std::size_t kMostParts = 64;             // of a send
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
    constexpr std::size_t kSize = kMostBuffers * (sizeof(io_uring_buf) + kStride);
    void* const memory =
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return errno_status(errno, "mmap");
    pool_ = static_cast<io_uring_buf_ring*>(memory);
    bytes_ = static_cast<char*>(memory) + kMostBuffers * sizeof(io_uring_buf);
    io_uring_buf_reg registration = {};
    registration.ring_addr = reinterpret_cast<std::uint64_t>(pool_);
    registration.ring_entries = kMostBuffers;
    registration.bgid = kGroup;
    error = io_uring_register_buf_ring(&ring_, &registration, 0);
    if (error < 0) {
      return absl::UnimplementedError(
          absl::StrCat("this kernel's io_uring has no buffer rings: ", errno_text(-error)));
    }
    io_uring_buf_ring_init(pool_);
    grow();
    return absl::OkStatus();
  }

  io_uring* get() { return &ring_; }
  const char* buffer(int id) const { return bytes_ + static_cast<std::size_t>(id) * kStride; }

  // More buffers, if there are not all of them.
  void grow() {
    const auto count = static_cast<unsigned>(uses_.size());
    if (count == kMostBuffers) return;
    uses_.resize(std::max(kFirstBuffers, 2 * count));
    for (unsigned id = count; id < uses_.size(); ++id) give_back(static_cast<int>(id));
  }

  // So many pieces refer to a buffer that the kernel has filled; the last one gives it back.
  void use(int id, std::size_t count) { uses_[static_cast<std::size_t>(id)] = count; }
  void release(int id) {
    if (--uses_[static_cast<std::size_t>(id)] == 0) give_back(id);
  }

  io_uring_sqe* entry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) {
      io_uring_submit(&ring_);
      entry = io_uring_get_sqe(&ring_);
    }
    return entry;
  }

 private:
  void give_back(int id) {
    io_uring_buf_ring_add(pool_, const_cast<char*>(buffer(id)), kBufferSize,
                          static_cast<std::uint16_t>(id), io_uring_buf_ring_mask(kMostBuffers), 0);
    io_uring_buf_ring_advance(pool_, 1);
  }

  io_uring ring_;
  io_uring_buf_ring* pool_ = nullptr;
  char* bytes_ = nullptr;
  std::vector<std::size_t> uses_;  // by buffer
};

// What is to be sent: a piece of a buffer of the pool.
struct Piece {
  const char* bytes;
  std::size_t size;
  int buffer;
};

struct Peer {
  std::vector<Piece> waiting;
  std::vector<Piece> leaving;  // in the send that is under way
  std::vector<iovec> parts;    // of that, where there are several
  msghdr message = {};
  bool is_receiving = false;
  bool has_ended = false;  // its half, or altogether
  bool is_broken = false;  // a send has failed
};

class Server {
 public:
  Server(Ring& ring, int listener, const ContenderWork& work)
      : ring_(ring), listener_(listener), work_(work) {}

  absl::Status run() {
    const int on = 1;
    ::setsockopt(listener_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // connections inherit it
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
      if (starved_.empty()) continue;
      ring_.grow();
      for (const int fd : std::exchange(starved_, {})) {
        if (Peer* const peer = find(fd); peer != nullptr && !peer->is_receiving) receive(fd, *peer);
      }
    }
  }

 private:
  static std::uint64_t data(int fd, Request request) {
    return static_cast<std::uint64_t>(fd) << 2 | static_cast<std::uint64_t>(request);
  }

  void accept() {
    io_uring_sqe* const entry = ring_.entry();
    io_uring_prep_multishot_accept(entry, listener_, nullptr, nullptr, SOCK_CLOEXEC);
    entry->user_data = data(listener_, Request::accept);
  }

  void receive(int fd, Peer& peer) {
    io_uring_sqe* const entry = ring_.entry();
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
    Peer& peer = *find(fd);  // it is there as long as a request is
    if (request == Request::receive) {
      received(fd, peer, completion);
    } else {
      sent(fd, peer, completion.res);
    }
    if (peer.has_ended && !peer.is_receiving && peer.leaving.empty()) forget(fd, peer);
  }

  Peer* find(int fd) {
    const auto index = static_cast<std::size_t>(fd);
    return index < peers_.size() ? peers_[index].get() : nullptr;
  }

  void accepted(int fd) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= peers_.size()) peers_.resize(index + 1);
    peers_[index] = std::make_unique<Peer>();
    receive(fd, *peers_[index]);
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
      if (completion.res < 0) drop_waiting(peer);
    }
  }

  void answer(int fd, Peer& peer, int id, std::size_t size) {
    const char* const bytes = ring_.buffer(id);
    work_.burn_for(bytes[0]);
    std::size_t pieces = 0;
    if (work_.reply == Reply::echo) {
      peer.waiting.push_back({bytes, size, id});
      ring_.use(id, 1);
      send(fd, peer);
    } else if (work_.reply == Reply::ten_sends) {
      for_ten_pieces(size, [&](std::size_t offset, std::size_t piece) {
        peer.waiting.push_back({bytes + offset, piece, id});
        ++pieces;
      });
      ring_.use(id, pieces);
      send(fd, peer);
    } else {
      for (const auto& member : peers_) {
        if (member == nullptr || member->has_ended) continue;
        member->waiting.push_back({bytes, size, id});
        ++pieces;
      }
      ring_.use(id, pieces);  // the sender is one of them
      for (std::size_t other = 0; other < peers_.size(); ++other) {
        if (peers_[other] != nullptr) send(static_cast<int>(other), *peers_[other]);
      }
    }
  }

  // All that waits, in one call, if nothing is under way.
  void send(int fd, Peer& peer) {
    if (!peer.leaving.empty() || peer.waiting.empty()) return;
    if (peer.waiting.size() <= kMostParts) {
      std::swap(peer.leaving, peer.waiting);
    } else {
      const auto end = peer.waiting.begin() + kMostParts;
      peer.leaving.assign(peer.waiting.begin(), end);
      peer.waiting.erase(peer.waiting.begin(), end);
    }
    io_uring_sqe* const entry = ring_.entry();
    constexpr int kFlags = MSG_NOSIGNAL | MSG_WAITALL;
    if (peer.leaving.size() == 1) {
      io_uring_prep_send(entry, fd, peer.leaving[0].bytes, peer.leaving[0].size, kFlags);
    } else {
      peer.parts.clear();
      for (const Piece& piece : peer.leaving) {
        peer.parts.push_back({const_cast<char*>(piece.bytes), piece.size});
      }
      peer.message.msg_iov = peer.parts.data();
      peer.message.msg_iovlen = peer.parts.size();
      io_uring_prep_sendmsg(entry, fd, &peer.message, kFlags);
    }
    entry->user_data = data(fd, Request::send);
  }

  void sent(int fd, Peer& peer, int result) {
    std::size_t size = 0;
    for (const Piece& piece : peer.leaving) {
      size += piece.size;
      ring_.release(piece.buffer);
    }
    peer.leaving.clear();
    if (result != static_cast<int>(size) && !peer.is_broken) {
      peer.is_broken = true;
      ::shutdown(fd, SHUT_RDWR);  // ends the receiving as well
    }
    if (peer.is_broken) return drop_waiting(peer);
    send(fd, peer);
  }

  void drop_waiting(Peer& peer) {
    for (const Piece& piece : peer.waiting) ring_.release(piece.buffer);
    peer.waiting.clear();
  }

  void forget(int fd, Peer& peer) {
    drop_waiting(peer);
    peers_[static_cast<std::size_t>(fd)].reset();
    ::close(fd);
  }

  Ring& ring_;
  const int listener_;
  const ContenderWork work_;
  std::vector<std::unique_ptr<Peer>> peers_;  // by descriptor
  std::vector<int> starved_;                  // have no request to receive, for want of buffers
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
