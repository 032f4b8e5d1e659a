// How a Stream writes: from send() to the system, with the marks of the queue.

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"

namespace epore::internal {
namespace {

std::span<const std::byte> as_span(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

// Bytes that another thread has sent. They count as queued from send() on, so a close() that is
// delivered earlier waits for them.
class Stream::BytesMail final : public Mail {
 public:
  BytesMail(Stream& stream, std::span<const std::byte> bytes)
      : stream_(&stream), bytes_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}
  BytesMail(Stream& stream, std::string bytes) : stream_(&stream), bytes_(std::move(bytes)) {}
  ~BytesMail() override {
    if (stream_ != nullptr) stream_->uncount(bytes_.size());
  }
  void deliver() override {
    if (stream_->is_ending() || stream_->write_shut_) return;
    Stream& stream = *std::exchange(stream_, nullptr);
    stream.note_counted(stream.counted_ + bytes_.size());
    const std::size_t before = stream.gathered();
    stream.put_sent(as_span(bytes_));
    stream.recount_gathered(before, bytes_.size());
  }

 private:
  Stream* stream_;  // null once delivered
  const std::string bytes_;
};

// The bytes of send(). They wait where they would come amid a write() of a coroutine.
inline void Stream::put_sent(std::span<const std::byte> bytes) {
  if (!has_tasks_ || !is_amid_write()) [[likely]]
    return put(bytes);
  tasks()->sent.append(bytes);
  recount();
}

// The bytes that this run has gathered.
std::size_t Stream::gathered() const {
  const Output& output = this_thread.buffers->output;
  return output.owner == this ? output.size() : 0;
}

// Into the queue, or to the system at once.
void Stream::put_elsewhere(std::span<const std::byte> bytes) {
  if (!is_write_blocked_ && queue_.empty()) return write_out(bytes);
  enqueue(bytes);
  recount();
}

inline SendResult Stream::send_here(std::span<const std::byte> bytes) {
  if (phase_ != Phase::open) [[unlikely]]
    return SendResult::closed;
  const std::size_t queued = queued_here() + bytes.size();
  if (queued > limits_->write_high_mark) [[unlikely]]
    return send_above_mark(bytes, queued);
  put_sent(bytes);
  if (!queue_.empty()) [[unlikely]]
    return mark_here();
  return SendResult::queued;
}

SendResult Stream::send_above_mark(std::span<const std::byte> bytes, std::size_t queued) {
  if (queued > limits_->write_cap) return over_cap(queued);
  put_sent(bytes);
  return mark_here();
}

SendResult Stream::send(std::span<const std::byte> bytes) {
  if (!can_send_.load(std::memory_order_acquire)) return SendResult::closed;
  try {
    // A coroutine also writes, at once, so its sends may not come later by mail. Callbacks that
    // send to many connections of their order gain by mail: each of these then writes all in one
    // call.
    const bool is_here = is_in_order() && (has_tasks_ ? has_turn() : is_runner());
    return is_here ? send_here(bytes) : send_from_elsewhere(bytes);
  } catch (const std::bad_alloc&) {
    // Some of the bytes may have left, so the connection cannot go on as if nothing had happened.
    no_memory();
    return SendResult::no_memory;
  }
}

SendResult Stream::send_from_elsewhere(std::span<const std::byte> bytes) {
  static_assert(sizeof(BytesMail) <= FrameCache::kCacheLine, "a send would take two lines");
  return leave_sent(std::make_unique<BytesMail>(*this, bytes), bytes.size());
}

SendResult Stream::send_from_elsewhere(std::span<const ByteView> pieces, std::size_t size) {
  std::string bytes;
  bytes.reserve(size);
  for (const ByteView& piece : pieces) bytes += piece.text();
  return leave_sent(std::make_unique<BytesMail>(*this, std::move(bytes)), size);
}

// Leaves mail with bytes that are sent, of which there are `size`.
SendResult Stream::leave_sent(std::unique_ptr<Mail> mail, std::size_t size) {
  const std::size_t queued = queued_.fetch_add(size, std::memory_order_acq_rel) + size;
  core_->counters().add(Counter::bytes_queued, size);
  if (queued > limits_->write_cap) return over_cap(queued);  // the mail's destructor uncounts
  // Before the mail, whose run looks at the mark.
  const SendResult result = mark(queued, queued - size);
  leave(std::move(mail));
  return result;
}

std::size_t Stream::queued_bytes() const {
  return is_in_order() ? queued_here() : queued_.load(std::memory_order_acquire);
}

SendResult Stream::over_cap(std::size_t queued) {
  can_send_.store(false, std::memory_order_release);
  in_order([queued](Stream& stream) {
    stream.reset(absl::ResourceExhaustedError(absl::StrCat(
        "send: ", queued, " bytes would be queued, the cap is ", stream.limits_->write_cap)));
  });
  return SendResult::over_cap;
}

// `waiting`: those of the queued bytes that the system may have refused. Only they count against a
// mark that is low because memory is tight, as others may leave at once.
SendResult Stream::mark(std::size_t queued, std::size_t waiting) {
  if (queued <= limits_->write_high_mark && waiting <= high_mark()) return SendResult::queued;
  if (high_mark_.set()) core_->counters().add(Counter::high_marks);
  return SendResult::high;
}

// The runner only.
SendResult Stream::mark_here() {
  return mark(queued_here(), is_write_blocked_ ? queue_.copied_size() : 0);
}

// The marks, which are lower while memory is tight. No wait is lost when that changes: a queue that
// is not empty has a later run, which looks again.
std::size_t Stream::high_mark() const {
  const std::size_t high = limits_->write_high_mark;
  return core_->budget().is_tight() ? std::min(high, QueueBudget::kTightHighMark) : high;
}

std::size_t Stream::low_mark() const {
  return core_->budget().is_tight() ? 0 : limits_->write_low_mark;
}

// Called above the high mark. Calls on_writable and returns true if the queue is at its low mark.
bool Stream::tell_low_mark() {
  if (phase_ != Phase::open || queued_bytes() > low_mark()) return false;
  if (has_files()) return false;
  high_mark_.clear();
  if (queued_bytes() > low_mark()) {  // another thread has sent meanwhile
    high_mark_.set();
    return false;
  }
  if (extra_ && extra_->on_writable) call(*extra_->on_writable);
  return true;
}

void Stream::write_out(std::span<const std::byte> more) {
  Output& output = this->output();
  std::span<const std::byte> first = output.bytes();
  std::size_t budget = kWriteBudget;
  while (!is_ending() && !is_write_blocked_ && !(queue_.empty() && first.empty() && more.empty())) {
    if (!queue_.empty() && !(first.empty() && more.empty())) {  // the queue goes first
      enqueue(first);
      enqueue(more);
      first = more = {};
    }
    if (budget == 0) {
      (void)word().wake();
      break;
    }
    const FilePart* const file = queue_.front_file();
    const std::span<const OwnedFd> descriptors = queue_.front_descriptors();
    const std::size_t count = file != nullptr        ? write_file(*file, budget)
                              : !descriptors.empty() ? write_descriptors(descriptors)
                                                     : write_some(first, more);
    budget -= std::min(budget, count);
    if (!queue_.empty()) {
      queue_.consume(count);
      continue;
    }
    const std::size_t of_first = std::min(count, first.size());
    first = first.subspan(of_first);
    more = more.subspan(count - of_first);
  }
  if (!is_ending()) {
    enqueue(first);
    enqueue(more);
  }
  output.clear();
  recount();
}

void Stream::write_failed(int error, std::uint32_t mark) {
  if (error == EAGAIN) {
    edges_.use_up(Direction::write, mark);
    is_write_blocked_ = wait_for_write();
    if (has_receives_) [[unlikely]]
      watch_socket();
  } else if (error != EINTR) {
    fail_call("send", error);
  }
}

void Stream::flush_now() { flush(); }

// Called by another connection of the order, which is not to blame, and at the end of the order's
// run. So it does not throw.
void Stream::flush_output() {
  try {
    flush();
  } catch (const std::bad_alloc&) {
    if (Output& output = this_thread.buffers->output; output.owner == this) output.clear();
    lose_bytes();
  }
}

// Writes the output as far as the system takes it, for a part of a file that comes next, and queues
// the rest. The first packet of the file has these bytes as well.
void Stream::write_ahead_of_file() {
  Output& output = this->output();
  if (!is_write_blocked_ && queue_.empty() && !output.empty()) {
    output.drop(write_one(output.bytes(), MSG_MORE));
  }
  if (!is_ending()) enqueue(output.bytes());
  output.clear();
  recount();  // now, as a file may take a while
}

// Makes one call for the queue, or for `first` and `second` if the queue is empty. Returns how many
// bytes were taken. If it returns 0, is_write_blocked_ or phase_ says why; otherwise it was EINTR.
std::size_t Stream::write_some(std::span<const std::byte> first,
                               std::span<const std::byte> second) {
  if (queue_.empty() && (first.empty() || second.empty())) {
    return write_one(first.empty() ? second : first);
  }
  const std::uint32_t mark = edges_.mark(Direction::write);
  return written(send_gathered(first, second), mark);
}

SysResult Stream::send_gathered(std::span<const std::byte> first,
                                std::span<const std::byte> second) {
  std::array<iovec, 64> vectors;
  std::size_t count = 0;
  if (!queue_.empty()) {
    count = queue_.gather(vectors);
  } else {
    for (std::span<const std::byte> part : {first, second}) {
      vectors[count++] = iovec{const_cast<std::byte*>(part.data()), part.size()};
    }
  }
  // The first packet of a file has the bytes before it.
  return send_vectors(std::span(vectors).first(count), queue_.has_files() ? MSG_MORE : 0);
}

SysResult Stream::send_vectors(std::span<iovec> vectors, int flags) {
  if (vectors.size() == 1) {  // without a message header the call takes less time
    const iovec& one = vectors.front();
    return core_->kernel().send(fd_.get(), one.iov_base, one.iov_len, MSG_NOSIGNAL | flags);
  }
  msghdr message = {};
  message.msg_iov = vectors.data();
  message.msg_iovlen = vectors.size();
  return core_->kernel().sendmsg(fd_.get(), &message, MSG_NOSIGNAL | flags);
}

void Stream::enqueue(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (queue_.empty()) moved_ |= kQueued;
  queue_.append(bytes);
}

// Adds the change of the queues' size to queued_ in one step. Bytes that move from a mail into the
// queue, or to the system, are therefore never counted twice, nor missed.
void Stream::recount() {
  const std::size_t before = counted_;
  const Output& output = this_thread.buffers->output;
  const std::size_t now = queue_.size() + (tasks() != nullptr ? tasks()->sent.size() : 0) +
                          (output.owner == this ? output.counted : 0);
  if (now < before) {
    uncount(before - now);
  } else if (now > before) {
    queued_.fetch_add(now - before, std::memory_order_acq_rel);
    core_->counters().add(Counter::bytes_queued, now - before);
  }
  note_counted(now);
  recharge();
}

// As recount(), behind bytes of another thread, `size` of them. Those that this run has gathered
// stay counted. `before` is what gathered() was; if it is less now, it was written meanwhile.
void Stream::recount_gathered(std::size_t before, std::size_t size) {
  const std::size_t now = gathered();
  const std::size_t added = std::min(now > before ? now - before : now, size);
  if (now != before) this_thread.buffers->output.counted += added;
  recount();
}

// Tells the budget how much memory the queues have. If all of them have too much, this connection
// ends, or holds its peer up until a run finds the queue low. That run comes, as the queue waits
// for room.
void Stream::recharge() {
  QueueBudget& budget = core_->budget();
  const std::size_t copied =
      queue_.copied_size() + (tasks() != nullptr ? tasks()->sent.copied_size() : 0);
  const std::uint64_t before = charged_;
  const std::uint64_t now = std::min<std::uint64_t>(QueueBudget::blocks(copied), kMostCharged);
  charged_ = now & kMostCharged;
  if (now < before) budget.discharge(before - now);
  if (now <= before || !budget.charge(now - before)) [[likely]]
    return;
  const std::size_t used = budget.look();
  if (budget.is_too_much(used, copied)) return reset(budget_error(used, copied));
  const bool may_hold = phase_ == Phase::open && is_write_blocked_ && on_data_ && !is_held_ &&
                        limits_->pause_reading_above_high_mark;
  if (!budget.is_tight() || !may_hold) return;
  core_->counters().add(Counter::read_pauses);
  is_held_ = true;
}

absl::Status Stream::budget_error(std::size_t used, std::size_t own) const {
  return absl::ResourceExhaustedError(absl::StrCat(
      "send: all connections have ", used, " bytes queued, RuntimeOptions::max_queued_bytes is ",
      core_->budget().most(), ", and the ", own, " of this one are more than its share"));
}

void Stream::uncount(std::size_t count) {
  queued_.fetch_sub(count, std::memory_order_acq_rel);
  core_->counters().add(Counter::bytes_dequeued, count);
}

}  // namespace epore::internal
