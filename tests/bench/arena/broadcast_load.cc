#include "tests/bench/arena/broadcast_load.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/clock.h"
#include "tests/bench/connect_many.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/load.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr std::size_t kHead = 16;  // a message begins with its number
constexpr int kMaxEvents = 1024;

// No byte is below 0x80, where servers look for commands.
char byte_of(std::uint64_t number, std::size_t position) {
  const std::uint64_t value = position < kHead ? number >> (7 * (position % 9)) : number + position;
  return static_cast<char>(0x80 | (value & 0x7f));
}

// From the first nine bytes of a message.
std::uint64_t number_of(const char* head) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 9; ++i) {
    number |= static_cast<std::uint64_t>(static_cast<unsigned char>(head[i]) & 0x7f) << (7 * i);
  }
  return number;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BroadcastLoad>> BroadcastLoad::connect(
    const Endpoint& server, const BroadcastOptions& options) {
  if (options.connections < 1) return absl::InvalidArgumentError("connections must be at least 1");
  if (options.message_size < kHead || options.message_size > 64 * 1024) {
    return absl::InvalidArgumentError("a broadcast message must be 16 bytes to 64 KiB");
  }
  absl::StatusOr<std::vector<OwnedFd>> fds =
      connect_many(server, options.connections, options.stall_timeout);
  if (!fds.ok()) return fds.status();
  OwnedFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_valid()) return errno_status(errno, "epoll_create1");
  auto load = absl::WrapUnique(new BroadcastLoad(options, std::move(epoll)));
  for (OwnedFd& fd : *fds) {
    epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
                         .data = {.u64 = load->receivers_.size()}};
    if (::epoll_ctl(load->epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) {
      return errno_status(errno, "epoll_ctl");
    }
    load->receivers_.push_back({.fd = std::move(fd)});
  }
  if (absl::Status status = load->probe(); !status.ok()) return status;
  return load;
}

BroadcastLoad::BroadcastLoad(const BroadcastOptions& options, OwnedFd epoll)
    : options_(options), epoll_(std::move(epoll)), events_(kMaxEvents), buffer_(64 * 1024) {}

// A connection is known to the server some time after connect() has succeeded. What is sent before
// that does not reach it, so the first messages are sent until one has reached all.
absl::Status BroadcastLoad::probe() {
  const std::uint64_t deadline = deadline_ns(options_.stall_timeout);
  while (now_ns() < deadline) {
    if (absl::Status status = send_next(); !status.ok()) return status;
    bool has_arrived = false;
    absl::Status status = receive_until(sent_, absl::Milliseconds(200), &has_arrived);
    if (!status.ok() || has_arrived) return status;
  }
  return absl::DeadlineExceededError(absl::StrCat("no broadcast reached all ", receivers_.size(),
                                                  " connections; missing: ", waiting_));
}

absl::StatusOr<LoadResult> BroadcastLoad::run(absl::Duration duration) {
  const CpuTime cpu_before = thread_cpu_time();
  const std::uint64_t start = now_ns();
  const std::uint64_t deadline = deadline_ns(duration);
  LoadResult result;
  std::uint64_t now = start;
  do {
    const std::uint64_t before = now;
    if (absl::Status status = send_next(); !status.ok()) return status;
    bool has_arrived = false;
    absl::Status status = receive_until(sent_, options_.stall_timeout, &has_arrived);
    if (!status.ok()) return status;
    if (!has_arrived) {
      return absl::DeadlineExceededError(
          absl::StrCat("broadcast ", sent_, " did not reach ", waiting_, " of ", receivers_.size(),
                       " connections in ", absl::FormatDuration(options_.stall_timeout)));
    }
    now = now_ns();
    result.latency.record(now - before);
    result.messages += receivers_.size();
  } while (now < deadline);
  result.rate = static_cast<double>(result.messages) * 1e9 / static_cast<double>(now - start);
  result.elapsed = absl::Nanoseconds(now - start);
  result.cpu = thread_cpu_time() - cpu_before;
  return result;
}

absl::Status BroadcastLoad::send_next() {
  ++sent_;
  waiting_ = receivers_.size();
  std::string message;
  for (std::size_t i = 0; i < options_.message_size; ++i) message += byte_of(sent_, i);
  const int fd = receivers_[sent_ % receivers_.size()].fd.get();
  const ssize_t size = ::send(fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (size < 0) return errno_status(errno, "send");
  if (static_cast<std::size_t>(size) != message.size()) {
    return absl::InternalError("an empty socket did not take a whole message");
  }
  return absl::OkStatus();
}

absl::Status BroadcastLoad::receive_until(std::uint64_t number, absl::Duration timeout,
                                          bool* has_arrived) {
  const std::uint64_t deadline = deadline_ns(timeout);
  while (waiting_ > 0) {
    const std::uint64_t now = now_ns();
    const std::uint64_t left_ms = now < deadline ? (deadline - now) / 1'000'000 + 1 : 0;
    const int count =
        ::epoll_wait(epoll_.get(), events_.data(), kMaxEvents, static_cast<int>(left_ms));
    if (count < 0 && errno != EINTR) return errno_status(errno, "epoll_wait");
    if (count == 0 && now_ns() >= deadline) return absl::OkStatus();
    for (int i = 0; i < count; ++i) {
      Receiver& receiver = receivers_[events_[static_cast<std::size_t>(i)].data.u64];
      const std::uint64_t before = receiver.last;
      if (absl::Status status = receive(receiver); !status.ok()) return status;
      if (before < number && receiver.last == number) --waiting_;
    }
  }
  *has_arrived = true;
  return absl::OkStatus();
}

absl::Status BroadcastLoad::receive(Receiver& receiver) {
  for (;;) {
    const ssize_t size = ::recv(receiver.fd.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size == 0) return absl::UnavailableError("the server closed a connection");
    if (size < 0 && errno == EAGAIN) return absl::OkStatus();
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno_status(errno, "recv");
    const auto bytes = static_cast<std::size_t>(size);
    if (absl::Status status = take(receiver, buffer_.data(), bytes); !status.ok()) return status;
    if (bytes < buffer_.size()) return absl::OkStatus();
  }
}

absl::Status BroadcastLoad::take(Receiver& receiver, const char* bytes, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    if (receiver.expected == 0) {
      // The first message that this connection gets: any of the probes.
      receiver.bytes[receiver.received++] = bytes[i];
      if (receiver.received < kHead) continue;
      receiver.expected = number_of(receiver.bytes);
      if (receiver.expected == 0 || receiver.expected > sent_) {
        return absl::DataLossError("a connection got what nobody sent");
      }
    } else if (bytes[i] != byte_of(receiver.expected, receiver.received++)) {
      return absl::DataLossError(
          absl::StrCat("wrong bytes arrived, in message ", receiver.expected));
    }
    if (receiver.received < options_.message_size) continue;
    receiver.last = receiver.expected++;
    receiver.received = 0;
  }
  return absl::OkStatus();
}

}  // namespace epore::bench
