// How a Stream sends what lies in files and pipes: by sendfile(2) and splice(2), and by a copy
// where the system refuses these.

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/file.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"

namespace epore::internal {
namespace {

std::string name_of(const FilePart& part) {
  return part.pipe ? "a pipe" : absl::Utf8SafeCEscape(part.file.path());
}

// A part of so many bytes leaves in full segments. Otherwise the system sends what it has of each
// 64 KiB of the file, and a fast network then carries, and the peer then takes, half again as many
// segments.
constexpr std::uint64_t kCorkedPart = 128 * 1024;

}  // namespace

// What sendfile(2) and splice(2) say of a file, or of a socket, that they do not serve. EPERM is
// that of a sandbox.
bool Stream::is_splice_refusal(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM;
}

// A part of a file that another thread has sent. It counts as queued from send() on, as bytes do.
class Stream::FileMail final : public Mail {
 public:
  FileMail(Stream& stream, FilePart part) : stream_(&stream), part_(std::move(part)) {}
  ~FileMail() override {
    if (stream_ != nullptr) stream_->uncount(WriteQueue::kFilePartSize);
  }
  void deliver() override {
    if (stream_->is_ending() || stream_->write_shut_) return;
    Stream& stream = *std::exchange(stream_, nullptr);
    stream.note_counted(stream.counted_ + WriteQueue::kFilePartSize);
    stream.put_sent(std::move(part_));
    stream.recount();
    (void)stream.high_mark_.set();  // send() has said so, and on_writable answers it
  }

 private:
  Stream* stream_;  // null once delivered
  FilePart part_;
};

absl::Status Stream::check_part(const File& file, std::uint64_t offset, std::uint64_t length,
                                std::string_view method) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (!file.is_open()) {
    return absl::InvalidArgumentError(absl::StrCat(method, ": the File names no file"));
  }
  if (offset > kMost || length > kMost - offset) {
    return absl::InvalidArgumentError(
        absl::StrCat(method, ": ", length, " bytes at ", offset, " are more than a file can have"));
  }
  return absl::OkStatus();
}

SendResult Stream::send(File file, std::uint64_t offset, std::uint64_t length) {
  if (!can_send_.load(std::memory_order_acquire)) return SendResult::closed;
  try {
    if (absl::Status bad = check_part(file, offset, length, "Connection::send"); !bad.ok()) {
      abort(std::move(bad));
      return SendResult::closed;
    }
    if (length == 0) return SendResult::queued;
    return send_part({.file = std::move(file), .offset = offset, .left = length});
  } catch (const std::bad_alloc&) {
    no_memory();  // as in send() of bytes
    return SendResult::no_memory;
  }
}

SendResult Stream::send_part(FilePart part) {
  const bool is_here = is_in_order() && (has_tasks_ ? has_turn() : is_runner());  // as for bytes
  if (is_here) {
    if (phase_ != Phase::open) return SendResult::closed;
    put_sent(std::move(part));
    if (!has_files()) return mark_here();
  } else {
    auto mail = std::make_unique<FileMail>(*this, std::move(part));
    queued_.fetch_add(WriteQueue::kFilePartSize, std::memory_order_acq_rel);
    core_->counters().add(Counter::bytes_queued, WriteQueue::kFilePartSize);
    leave(std::move(mail));
  }
  if (high_mark_.set()) core_->counters().add(Counter::high_marks);
  return SendResult::high;
}

// The part of a file of send(). It waits where it would come amid a write() of a coroutine.
void Stream::put_sent(FilePart part) {
  if (!is_amid_write()) return put_file(std::move(part));
  tasks()->sent.append(std::move(part));
  recount();
}

// Whether a part of a file waits.
bool Stream::has_files() const {
  return queue_.has_files() || (tasks() != nullptr && tasks()->sent.has_files());
}

// Writes as much of the part as one run may, and queues the rest.
void Stream::put_file(FilePart part) {
  write_ahead_of_file();
  std::size_t budget = kWriteBudget;
  while (queue_.empty() && part.left != 0 && budget != 0 && !is_write_blocked_ && !is_ending()) {
    const std::size_t count = write_file(part, budget);
    budget -= count;
    part.drop(count);
  }
  if (part.left != 0 && !is_ending()) {
    if (queue_.empty()) moved_ |= kQueued;
    queue_.append(std::move(part));
  }
  recount();
}

// Makes one call for the part. Returns how many bytes the system took. If it returns 0,
// is_write_blocked_ or phase_ says why; otherwise it is worth another try.
std::size_t Stream::write_file(const FilePart& part, std::size_t most) {
  const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(part.left, most));
  if (part.pipe) return write_pipe(part, size);
  std::atomic<bool>& is_copied = part.file.state_->is_copied;
  if (is_copied.load(std::memory_order_relaxed)) {
    if (is_corked_) cork(false);  // another connection has found out that it must be copied
    return copy_file(part, size);
  }
  if (part.left >= kCorkedPart && !is_corked_ && !is_unix_) cork(true);
  const std::uint32_t mark = edges_.mark(Direction::write);
  const SysResult sent = core_->kernel().sendfile(fd_.get(), part.file.fd(),
                                                  static_cast<std::int64_t>(part.offset), size);
  const bool is_refused = is_splice_refusal(sent.error());
  const bool is_whole = sent.value() > 0 && static_cast<std::uint64_t>(sent.value()) == part.left;
  if (is_corked_ && (is_whole || is_refused)) cork(false);  // sends the last segment
  if (is_refused) {
    is_copied.store(true, std::memory_order_relaxed);
    return 0;
  }
  return file_written(part, "sendfile", sent, mark);
}

// TCP_CORK, tcp(7). Where it is refused, more segments leave.
void Stream::cork(bool is_corked) {
  is_corked_ = is_corked;
  const int value = is_corked ? 1 : 0;
  (void)core_->kernel().setsockopt(fd_.get(), IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

// On the stack: the thread's buffers may have bytes that a callback looks at.
std::size_t Stream::copy_file(const FilePart& part, std::size_t most) {
  std::array<std::byte, 16 * 1024> buffer;
  const std::uint32_t mark = edges_.mark(Direction::write);
  const SysResult read =
      core_->kernel().pread(part.file.fd(), buffer.data(), std::min(most, buffer.size()),
                            static_cast<std::int64_t>(part.offset));
  if (read.value() <= 0) return file_written(part, "pread", read, mark);
  const SysResult sent = core_->kernel().send(fd_.get(), buffer.data(),
                                              static_cast<std::size_t>(read.value()), MSG_NOSIGNAL);
  return file_written(part, "send", sent, mark);
}

std::size_t Stream::write_pipe(const FilePart& part, std::size_t most) {
  Pipe& pipe = *part.pipe;
  if (pipe.is_copied) return copy_pipe(part, most);
  const std::uint32_t mark = edges_.mark(Direction::write);
  const SysResult sent =
      core_->kernel().splice(pipe.out.get(), fd_.get(), most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (is_splice_refusal(sent.error())) {
    pipe.is_copied = true;
    return 0;
  }
  return file_written(part, "splice", sent, mark);
}

// What is read from a pipe is gone there, so it is kept until it is sent.
std::size_t Stream::copy_pipe(const FilePart& part, std::size_t most) {
  Pipe& pipe = *part.pipe;
  const std::uint32_t mark = edges_.mark(Direction::write);
  if (pipe.rest.empty()) {
    std::string bytes(std::min<std::size_t>(most, 64 * 1024), '\0');
    const SysResult read = core_->kernel().read(pipe.out.get(), bytes.data(), bytes.size());
    if (read.value() <= 0) return file_written(part, "read", read, mark);
    bytes.resize(static_cast<std::size_t>(read.value()));
    pipe.rest = std::move(bytes);
  }
  const SysResult sent = core_->kernel().send(fd_.get(), pipe.rest.data(),
                                              std::min(most, pipe.rest.size()), MSG_NOSIGNAL);
  if (sent.value() > 0) pipe.rest.erase(0, static_cast<std::size_t>(sent.value()));
  return file_written(part, "send", sent, mark);
}

// Takes the result of a call that began at `mark`. Returns how many bytes the system took. A peer
// must not take a part for the whole, so an error resets the connection.
std::size_t Stream::file_written(const FilePart& part, std::string_view call, SysResult result,
                                 std::uint32_t mark) {
  if (result.value() > 0) {
    const std::size_t count = static_cast<std::size_t>(result.value());
    core_->counters().add(Counter::bytes_out, count);
    core_->counters().add(part.pipe ? Counter::bytes_spliced : Counter::bytes_of_files, count);
    moved_ |= kSent;
    return count;
  }
  if (result.ok()) {
    reset(absl::OutOfRangeError(absl::StrCat(name_of(part), ": the file ends before ", part.offset,
                                             ", and ", part.left, " bytes more were to be sent")));
  } else if (result.error() == EAGAIN || result.error() == EINTR) {
    write_failed(result.error(), mark);
  } else {
    reset(errno_status(result.error(),
                       absl::StrCat(call, "(fd ", fd_.get(), ", ", name_of(part), ")")));
  }
  return 0;
}

}  // namespace epore::internal
