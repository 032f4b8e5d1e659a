// How a Stream sends and receives descriptors, over a Unix socket.

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/received_descriptors.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"

namespace epore::internal {

// Bytes with descriptors that another thread has sent. They count as queued from send() on.
class Stream::DescriptorMail final : public Mail {
 public:
  DescriptorMail(Stream& stream, DescriptorPart part)
      : stream_(&stream), size_(part.size()), part_(std::move(part)) {}
  ~DescriptorMail() override {
    if (stream_ != nullptr) stream_->uncount(size_);
  }
  void deliver() override {
    if (stream_->is_ending() || stream_->write_shut_) return;
    Stream& stream = *std::exchange(stream_, nullptr);
    stream.note_counted(stream.counted_ + size_);
    stream.put_sent(std::move(part_));
  }

 private:
  Stream* stream_;  // null once delivered
  const std::size_t size_;
  DescriptorPart part_;
};

absl::Status Stream::check_descriptors(ByteView bytes, std::span<const OwnedFd> descriptors,
                                       std::string_view method) const {
  if (descriptors.empty()) return absl::OkStatus();
  if (!is_unix_) {
    return absl::FailedPreconditionError(
        absl::StrCat(method, ": descriptors go over Unix sockets only, and this is TCP"));
  }
  if (bytes.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(method, ": descriptors go with bytes, and there are none"));
  }
  if (descriptors.size() > kMostDescriptors) {
    return absl::InvalidArgumentError(absl::StrCat(
        method, ": ", descriptors.size(), " descriptors, and at most ", kMostDescriptors, " go"));
  }
  const auto none = std::find_if(descriptors.begin(), descriptors.end(),
                                 [](const OwnedFd& fd) { return !fd.is_valid(); });
  if (none == descriptors.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(method, ": number ", none - descriptors.begin(),
                                                 " of the descriptors, from 0, names none"));
}

SendResult Stream::send(ByteView bytes, std::vector<OwnedFd> descriptors) {
  if (descriptors.empty()) return send(bytes);
  if (!can_send_.load(std::memory_order_acquire)) return SendResult::closed;
  try {
    absl::Status bad = check_descriptors(bytes, descriptors, "Connection::send");
    if (!bad.ok()) {
      abort(std::move(bad));
      return SendResult::closed;
    }
    DescriptorPart part{std::string(bytes.text()), std::move(descriptors)};
    const std::size_t size = part.size();
    const bool is_here = is_in_order() && (has_tasks_ ? has_turn() : is_runner());  // as for bytes
    if (!is_here) {
      return leave_sent(std::make_unique<DescriptorMail>(*this, std::move(part)), size);
    }
    if (phase_ != Phase::open) return SendResult::closed;
    const std::size_t queued = queued_here() + size;
    if (queued > limits_->write_cap) return over_cap(queued);
    put_sent(std::move(part));
    return mark_here();
  } catch (const std::bad_alloc&) {
    no_memory();  // as for bytes
    return SendResult::no_memory;
  }
}

SendResult Stream::send(ByteView bytes, OwnedFd descriptor) {
  std::vector<OwnedFd> list;
  try {
    list.push_back(std::move(descriptor));
  } catch (const std::bad_alloc&) {
    no_memory();
    return SendResult::no_memory;
  }
  return send(bytes, std::move(list));
}

// What send() was given. It waits where it would come amid a write() of a coroutine.
void Stream::put_sent(DescriptorPart part) {
  if (!is_amid_write()) return put_descriptors(std::move(part));
  tasks()->sent.append(std::move(part));
  recount();
}

// Into the queue, behind what is gathered. They leave at the end of the run.
void Stream::put_descriptors(DescriptorPart part) {
  const bool is_queued = is_write_blocked_ || !queue_.empty();
  if (!is_queued) {
    Output& output = this->output();
    enqueue(output.bytes());
    output.clear();
  }
  if (queue_.empty()) moved_ |= kQueued;
  queue_.append(std::move(part));
  recount();
}

// Makes one call for the bytes at the front of the queue and their descriptors. Returns how many
// bytes were taken. The system has the descriptors then, unless it is 0.
std::size_t Stream::write_descriptors(std::span<const OwnedFd> descriptors) {
  struct alignas(cmsghdr) Control {
    std::array<std::byte, CMSG_SPACE(kMostDescriptors * sizeof(int))> bytes = {};
  };
  Control control;
  const std::size_t size = descriptors.size() * sizeof(int);
  std::array<iovec, 1> vectors;
  msghdr message = {};
  message.msg_iov = vectors.data();
  message.msg_iovlen = queue_.gather(vectors);
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(size);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(size);
  std::array<int, kMostDescriptors> fds;
  std::transform(descriptors.begin(), descriptors.end(), fds.begin(),
                 [](const OwnedFd& fd) { return fd.get(); });
  std::memcpy(CMSG_DATA(header), fds.data(), size);
  const std::uint32_t mark = edges_.mark(Direction::write);
  const SysResult sent = core_->kernel().sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  if (sent.ok() || sent.error() == EAGAIN || sent.error() == EINTR) return written(sent, mark);
  reset(errno_status(sent.error(), absl::StrCat("sendmsg(fd ", fd_.get(), ", with ",
                                                descriptors.size(), " descriptors)")));
  return 0;
}

std::vector<OwnedFd> Stream::take_descriptors(std::size_t most) {
  if (!is_unix_) return {};
  try {
    return unix_peer().descriptors().take(most);
  } catch (const std::bad_alloc&) {
    no_memory();
    return {};
  }
}

// A connection that closes discards what comes, and nobody takes descriptors.
SysResult Stream::receive_from_unix(std::span<std::byte> into) {
  const std::size_t most = phase_ == Phase::open ? limits_->max_descriptors : 0;
  if (most == 0) return unix_peer().receive(core_->kernel(), fd_.get(), into);
  absl::Status refused;
  const SysResult received =
      unix_peer().receive_with_descriptors(core_->kernel(), fd_.get(), into, most, refused);
  if (refused.ok()) return received;
  reset(std::move(refused));
  return SysResult::from_errno(EINTR);  // the caller sees the end before it tries again
}

}  // namespace epore::internal
