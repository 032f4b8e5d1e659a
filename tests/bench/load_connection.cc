#include "tests/bench/load_connection.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/clock.h"
#include "tests/bench/histogram.h"
#include "tests/bench/stream_pattern.h"

namespace epore::bench {

LoadConnection::LoadConnection(OwnedFd fd, int number, std::uint64_t begin,
                               const StreamPattern& pattern, std::size_t message_size, int depth)
    : fd_(std::move(fd)),
      number_(number),
      begin_(begin),
      pattern_(pattern),
      message_size_(message_size),
      sent_at_(static_cast<std::size_t>(depth)) {}

absl::Status LoadConnection::send(int count, std::uint64_t now) {
  for (int i = 0; i < count; ++i) sent_at_[messages_sent_++ % sent_at_.size()] = now;
  bytes_queued_ += static_cast<std::uint64_t>(count) * message_size_;
  return flush();
}

absl::Status LoadConnection::flush() {
  while (has_unsent()) {
    const std::size_t size =
        std::min<std::uint64_t>(bytes_queued_ - bytes_sent_, StreamPattern::kMaxChunk);
    const ssize_t sent =
        ::send(fd_.get(), pattern_.at(begin_ + bytes_sent_), size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes_sent_ += static_cast<std::uint64_t>(sent);
    } else if (errno == EAGAIN) {
      return absl::OkStatus();
    } else if (errno != EINTR) {
      return error(absl::StatusCode::kUnavailable, absl::StrCat("send: ", errno_text(errno)));
    }
  }
  return absl::OkStatus();
}

absl::Status LoadConnection::receive(std::span<char> buffer, bool may_have_ended,
                                     Histogram& latency) {
  completed_ = 0;
  for (;;) {
    const ssize_t received = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (received > 0) {
      const auto size = static_cast<std::size_t>(received);
      if (absl::Status status = check(buffer.data(), size); !status.ok()) return status;
      if (size < buffer.size() && !may_have_ended) break;  // drained; more is a new edge
    } else if (received == 0) {
      return error(absl::StatusCode::kUnavailable, "the server closed it");
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      return error(absl::StatusCode::kUnavailable, absl::StrCat("recv: ", errno_text(errno)));
    }
  }
  complete(latency);
  return absl::OkStatus();
}

absl::Status LoadConnection::check(const char* bytes, std::size_t size) {
  if (bytes_received_ + size > bytes_sent_) {
    return error(absl::StatusCode::kDataLoss, "more bytes came back than were sent");
  }
  if (!pattern_.matches(begin_ + bytes_received_, bytes, size)) {
    return error(absl::StatusCode::kDataLoss,
                 absl::StrCat("wrong bytes came back, after ", bytes_received_, " right ones"));
  }
  bytes_received_ += size;
  return absl::OkStatus();
}

void LoadConnection::complete(Histogram& latency) {
  completed_at_ = now_ns();
  const std::uint64_t whole = bytes_received_ / message_size_;
  for (; messages_received_ < whole; ++messages_received_, ++completed_) {
    latency.record(completed_at_ - sent_at_[messages_received_ % sent_at_.size()]);
  }
}

absl::Status LoadConnection::error(absl::StatusCode code, const std::string& what) const {
  return absl::Status(code, absl::StrCat("connection ", number_, ", after ", messages_received_,
                                         " messages: ", what));
}

}  // namespace epore::bench
