#include "tests/bench/arena/slow_neighbour.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/connect_many.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr std::size_t kMessage = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<SlowNeighbour>> SlowNeighbour::start(const Endpoint& server) {
  absl::StatusOr<std::vector<OwnedFd>> fds = connect_many(server, 1, kTimeout);
  if (!fds.ok()) return fds.status();
  const int fd = fds->front().get();
  const timeval timeout = absl::ToTimeval(kTimeout);
  if (::fcntl(fd, F_SETFL, 0) != 0 ||
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) != 0) {
    return errno_status(errno, "cannot make the slow neighbour's socket blocking");
  }
  auto neighbour = absl::WrapUnique(new SlowNeighbour(std::move(fds->front())));
  neighbour->resume();
  return neighbour;
}

SlowNeighbour::SlowNeighbour(OwnedFd fd) : fd_(std::move(fd)) {}

SlowNeighbour::~SlowNeighbour() { (void)stop(); }

absl::Status SlowNeighbour::stop() {
  is_over_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
  return status_;
}

void SlowNeighbour::resume() {
  is_over_.store(false, std::memory_order_relaxed);
  thread_ = std::thread([this] { status_ = talk(); });
}

absl::Status SlowNeighbour::talk() {
  char message[kMessage];
  std::memset(message, 0x80, sizeof message);
  message[0] = 'S';
  do {
    if (::send(fd_.get(), message, sizeof message, MSG_NOSIGNAL) != kMessage) {
      return errno_status(errno, "the slow neighbour's send");
    }
    char reply[kMessage];
    for (std::size_t received = 0; received < kMessage;) {
      const ssize_t size = ::recv(fd_.get(), reply + received, kMessage - received, 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return errno_status(errno, "the slow neighbour's recv");
      if (size == 0) return absl::UnavailableError("the server closed the slow neighbour");
      received += static_cast<std::size_t>(size);
    }
    if (std::memcmp(message, reply, kMessage) != 0) {
      return absl::DataLossError("wrong bytes came back to the slow neighbour");
    }
    messages_.fetch_add(1, std::memory_order_relaxed);
  } while (!is_over_.load(std::memory_order_relaxed));
  return absl::OkStatus();
}

}  // namespace epore::bench
