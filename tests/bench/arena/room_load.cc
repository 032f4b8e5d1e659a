#include "tests/bench/arena/room_load.h"

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

// A message begins with its talker and its number, seven bits in a byte: no byte is below 0x80,
// where servers look for commands.
constexpr std::size_t kTalkerBytes = 3;
constexpr std::size_t kNumberBytes = 5;
constexpr std::size_t kHead = kTalkerBytes + kNumberBytes;
constexpr std::size_t kSmallest = 16;
constexpr std::size_t kLargest = 4096;
constexpr int kMaxTalkers = 1 << 16;
constexpr int kMaxEvents = 1024;

void encode(std::uint64_t value, std::size_t bytes, char* to) {
  for (std::size_t i = 0; i < bytes; ++i) {
    to[i] = static_cast<char>(0x80 | ((value >> (7 * i)) & 0x7f));
  }
}

std::uint64_t decode(const char* from, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(from[i]) & 0x7f) << (7 * i);
  }
  return value;
}

// Where in the pattern the rest of a message is from.
std::uint64_t position(std::size_t talker, std::uint32_t number) {
  return talker * 7919 + std::uint64_t{number} * 64;
}

}  // namespace

absl::Status RoomOptions::check() const {
  if (members < 1) return absl::InvalidArgumentError("a room has at least 1 member");
  if (talkers < 1 || talkers > members || talkers > kMaxTalkers) {
    return absl::InvalidArgumentError("the talkers are at least 1 and at most all members");
  }
  if (message_size < kSmallest || message_size > kLargest) {
    return absl::InvalidArgumentError("a message to a room must be 16 bytes to 4 KiB");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RoomLoad>> RoomLoad::connect(const Endpoint& server,
                                                            const RoomOptions& options) {
  if (absl::Status status = options.check(); !status.ok()) return status;
  absl::StatusOr<std::vector<OwnedFd>> fds =
      connect_many(server, options.members, options.stall_timeout);
  if (!fds.ok()) return fds.status();
  OwnedFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_valid()) return errno_status(errno, "epoll_create1");
  auto load = absl::WrapUnique(new RoomLoad(options, std::move(epoll)));
  for (OwnedFd& fd : *fds) {
    epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
                         .data = {.u64 = load->members_.size()}};
    if (::epoll_ctl(load->epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) {
      return errno_status(errno, "epoll_ctl");
    }
    load->members_.push_back(
        {.fd = std::move(fd),
         .part = {},
         .next = std::vector<std::uint32_t>(static_cast<std::size_t>(options.talkers))});
  }
  if (absl::Status status = load->probe(); !status.ok()) return status;
  return load;
}

RoomLoad::RoomLoad(const RoomOptions& options, OwnedFd epoll)
    : options_(options), epoll_(std::move(epoll)), events_(kMaxEvents), buffer_(64 * 1024) {
  const auto members = static_cast<std::size_t>(options.members);
  const auto talkers = static_cast<std::size_t>(options.talkers);
  for (std::size_t i = 0; i < talkers; ++i) talkers_.push_back({.member = i * members / talkers});
}

// A connection is known to the server some time after connect() has succeeded, and what is sent
// before that does not reach it: the first talker repeats itself until a message has reached all.
absl::Status RoomLoad::probe() {
  const std::uint64_t deadline = deadline_ns(options_.stall_timeout);
  while (now_ns() < deadline) {
    if (absl::Status status = talk(0); !status.ok()) return status;
    const std::uint64_t patience = deadline_ns(absl::Milliseconds(200));
    while (talkers_[0].missing > 0 && now_ns() < patience) {
      const absl::StatusOr<bool> some = receive_some(absl::Milliseconds(20));
      if (!some.ok()) return some.status();
    }
    answered_.clear();
    if (talkers_[0].missing == 0) return absl::OkStatus();
  }
  return absl::DeadlineExceededError(absl::StrCat("no message reached all ", members_.size(),
                                                  " members; missing: ", talkers_[0].missing));
}

absl::StatusOr<LoadResult> RoomLoad::run(absl::Duration duration) {
  const CpuTime cpu_before = thread_cpu_time();
  const std::uint64_t start = now_ns();
  const std::uint64_t deadline = deadline_ns(duration);
  latency_ = Histogram();
  delivered_ = 0;
  std::uint64_t sent = 0;
  answered_.clear();
  for (std::size_t i = 0; i < talkers_.size(); ++i) answered_.push_back(i);
  std::uint64_t last_news = start;
  while (!answered_.empty() || delivered_ < sent * members_.size()) {
    if (now_ns() < deadline) {
      for (const std::size_t talker : answered_) {
        if (absl::Status status = talk(talker); !status.ok()) return status;
        ++sent;
      }
    }
    answered_.clear();
    if (delivered_ == sent * members_.size()) break;
    const absl::StatusOr<bool> some = receive_some(options_.stall_timeout);
    if (!some.ok()) return some.status();
    const std::uint64_t now = now_ns();
    if (*some) {
      last_news = now;
    } else if (now - last_news >=
               static_cast<std::uint64_t>(absl::ToInt64Nanoseconds(options_.stall_timeout))) {
      return absl::DeadlineExceededError(
          absl::StrCat("nothing came for ", absl::FormatDuration(options_.stall_timeout), ", but ",
                       sent * members_.size() - delivered_, " deliveries are missing"));
    }
  }
  const std::uint64_t elapsed = now_ns() - start;
  LoadResult result;
  result.messages = delivered_;
  result.rate = static_cast<double>(delivered_) * 1e9 / static_cast<double>(elapsed);
  result.latency = std::move(latency_);
  result.elapsed = absl::Nanoseconds(elapsed);
  result.cpu = thread_cpu_time() - cpu_before;
  return result;
}

absl::Status RoomLoad::talk(std::size_t index) {
  Talker& talker = talkers_[index];
  ++talker.sent;
  talker.missing = members_.size();
  message_.resize(options_.message_size);
  encode(index, kTalkerBytes, message_.data());
  encode(talker.sent, kNumberBytes, message_.data() + kTalkerBytes);
  const char* const rest = pattern_.at(position(index, talker.sent));
  std::copy(rest, rest + (message_.size() - kHead), message_.data() + kHead);
  talker.sent_at = now_ns();
  const int fd = members_[talker.member].fd.get();
  const ssize_t size = ::send(fd, message_.data(), message_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (size < 0) return errno_status(errno, "send");
  if (static_cast<std::size_t>(size) != message_.size()) {
    return absl::InternalError("an empty socket did not take a whole message");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RoomLoad::receive_some(absl::Duration timeout) {
  const auto timeout_ms = static_cast<int>(absl::ToInt64Milliseconds(timeout));
  const int count = ::epoll_wait(epoll_.get(), events_.data(), kMaxEvents, timeout_ms);
  if (count < 0 && errno != EINTR) return errno_status(errno, "epoll_wait");
  for (int i = 0; i < count; ++i) {
    absl::Status status = receive(events_[static_cast<std::size_t>(i)].data.u64);
    if (!status.ok()) return status;
  }
  return count > 0;
}

absl::Status RoomLoad::receive(std::size_t member) {
  const int fd = members_[member].fd.get();
  for (;;) {
    const ssize_t size = ::recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size == 0) return absl::UnavailableError("the server closed a connection");
    if (size < 0 && errno == EAGAIN) return absl::OkStatus();
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno_status(errno, "recv");
    const auto bytes = static_cast<std::size_t>(size);
    if (absl::Status status = take(member, buffer_.data(), bytes); !status.ok()) return status;
    if (bytes < buffer_.size()) return absl::OkStatus();
  }
}

absl::Status RoomLoad::take(std::size_t member, const char* bytes, std::size_t size) {
  const std::size_t whole = options_.message_size;
  std::string& part = members_[member].part;
  while (size > 0) {
    const char* message = bytes;
    std::size_t taken = whole;
    if (!part.empty() || size < whole) {
      taken = std::min(size, whole - part.size());
      part.append(bytes, taken);
      if (part.size() < whole) return absl::OkStatus();
      message = part.data();
    }
    if (absl::Status status = deliver(member, message); !status.ok()) return status;
    part.clear();
    bytes += taken;
    size -= taken;
  }
  return absl::OkStatus();
}

absl::Status RoomLoad::deliver(std::size_t member, const char* message) {
  const std::size_t index = decode(message, kTalkerBytes);
  const std::uint64_t number = decode(message + kTalkerBytes, kNumberBytes);
  if (index >= talkers_.size() || number == 0 || number > talkers_[index].sent) {
    return absl::DataLossError("a member got what nobody said");
  }
  Talker& talker = talkers_[index];
  std::uint32_t& next = members_[member].next[index];
  if (next != 0 && number != next) {
    return absl::DataLossError(
        absl::StrCat("message ", number, " of talker ", index, " came where ", next, " was due"));
  }
  const auto as_sent = static_cast<std::uint32_t>(number);
  if (!pattern_.matches(position(index, as_sent), message + kHead, options_.message_size - kHead)) {
    return absl::DataLossError(
        absl::StrCat("wrong bytes arrived, in message ", number, " of talker ", index));
  }
  next = as_sent + 1;
  ++delivered_;
  if (number != talker.sent) return absl::OkStatus();
  --talker.missing;
  if (member == talker.member) {
    latency_.record(now_ns() - talker.sent_at);
    answered_.push_back(index);
  }
  return absl::OkStatus();
}

}  // namespace epore::bench
