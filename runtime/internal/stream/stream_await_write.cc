// How a Stream serves the writes of coroutines: what begins in its order, and the part of a run
// that goes on with it. Those that wait are in one list, and the first one gives its bytes.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/long_write.h"
#include "epore/runtime/internal/stream/splice_operations.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore::internal {
namespace {

// The most of a file that is in the queue for a coroutine.
constexpr std::uint64_t kFilePiece = 1024 * 1024;

}  // namespace

// A write of bytes that need not wait. False: it must, or nothing may be written, or this has
// failed.
bool Stream::write_at_once(ByteView bytes) {
  if (phase_ != Phase::open || write_shut_asked_ || first_writer() != nullptr) return false;
  if (bytes.size() > room_behind(queued_ahead())) return false;
  try {
    put(bytes);
  } catch (const std::bad_alloc&) {
    lose_bytes();
  }
  return !is_ending();
}

// There is no memory, and some of the bytes may have left, so the connection cannot go on as if
// nothing had happened.
void Stream::lose_bytes() {
  in_order([](Stream& stream) { stream.reset(stream.limits_->no_memory); });
}

bool Stream::begin_write(WriteOperationBase& writer, absl::Status& status) {
  const bool is_flush = writer.kind_ == WriteOperationBase::Kind::flush;
  if (phase_ != Phase::open) {
    if (is_flush && !is_ending() && !has_output()) return true;
    if (!is_flush || is_ending()) {
      status = ended_status();
      return true;
    }
  } else if (write_shut_asked_ && !is_flush) {
    status = absl::FailedPreconditionError("Connection::write: after shut_down_write()");
    return true;
  }
  if (writer.kind_ == WriteOperationBase::Kind::file) {
    const FileWriteOperation& of_file = static_cast<FileWriteOperation&>(writer);
    status = check_part(of_file.file_, of_file.offset_, of_file.left_, "Connection::write");
    if (!status.ok()) return true;
  }
  if (writer.kind_ == WriteOperationBase::Kind::descriptors) {
    DescriptorWriteOperation& of_these = static_cast<DescriptorWriteOperation&>(writer);
    if (of_these.only_) {
      of_these.descriptors_.push_back(*std::move(of_these.only_));
      of_these.only_.reset();
    }
    const std::size_t count = of_these.descriptors_.size();
    status = check_descriptors(of_these.rest_, of_these.descriptors_, "Connection::write");
    if (status.ok() && count != 0 && DescriptorPart::size_of(1, count) > limits_->write_cap) {
      status = absl::InvalidArgumentError(absl::StrCat(
          "Connection::write: ", count, " descriptors and a byte count as ",
          DescriptorPart::size_of(1, count), " bytes, the cap is ", limits_->write_cap));
    }
    if (!status.ok()) return true;
  }
  try {
    if ((first_writer() == nullptr && push(writer)) || is_ending()) {
      if (is_ending()) status = ended_status();
      return true;
    }
    make_tasks();
  } catch (const std::bad_alloc&) {
    status = limits_->no_memory;
    lose_bytes();
    return true;
  }
  append(writer);
  return false;
}

void Stream::append(WriteOperationBase& writer) {
  StreamTasks& tasks = *this->tasks();
  writer.next_ = nullptr;
  if (tasks.first_writer != nullptr) {
    tasks.last_writer->next_ = &writer;
  } else {
    tasks.first_writer = &writer;
  }
  tasks.last_writer = &writer;
}

// Gives the bytes of a writer to the system and to the queue, which stays within its high mark; see
// room_behind().
// Returns whether all are gone, or the connection has failed. Then a writer of another order may be
// gone as well: whoever gives bytes notes it in the writer before, and looks at is_ending() behind.
bool Stream::push(WriteOperationBase& writer) {
  switch (writer.kind_) {
    case WriteOperationBase::Kind::bytes:
      return push_rest(writer, static_cast<LongWrite&>(writer).rest_);
    case WriteOperationBase::Kind::pieces:
      return push_pieces(static_cast<PiecesWriteBase&>(writer));
    case WriteOperationBase::Kind::shared:
      return push_shared(static_cast<SharedWriteOperation&>(writer));
    case WriteOperationBase::Kind::file:
      return push_file(static_cast<FileWriteOperation&>(writer));
    case WriteOperationBase::Kind::splice:
      return push_splice(static_cast<SpliceWriteOperation&>(writer));
    case WriteOperationBase::Kind::descriptors:
      return push_descriptors(static_cast<DescriptorWriteOperation&>(writer));
    case WriteOperationBase::Kind::flush:
      flush_now();
      return is_ending() || !has_output();
  }
  return true;
}

// The bytes that a writer may give now, behind `queued` others. A high mark of a few bytes, or of
// none, would make as small calls. So the first piece may be larger, up to the cap. While memory is
// tight it is one that is written without a copy if the system has room.
std::size_t Stream::room_behind(std::size_t queued) const {
  constexpr std::size_t kFirstPiece = 4096;
  if (queued != 0) {
    const std::size_t high = high_mark();
    return high - std::min(high, queued);
  }
  const std::size_t first =
      std::max(limits_->write_high_mark,
               std::min(kFirstPiece, std::max<std::size_t>(limits_->write_cap, 1)));
  return core_->budget().is_tight() ? std::min(first, kLarge) : first;
}

bool Stream::push_rest(WriteOperationBase& writer, ByteView& rest) {
  while (!is_ending() && !rest.empty()) {
    const std::size_t room = room_behind(queued_ahead());
    if (room == 0) return false;
    const ByteView piece = rest.first(std::min(rest.size(), room));
    rest = rest.subspan(piece.size());
    writer.has_begun_ = true;
    put(piece);
  }
  return true;
}

bool Stream::push_pieces(PiecesWriteBase& writer) {
  while (!is_ending()) {
    const std::size_t left = writer.left();
    std::size_t room = room_behind(queued_ahead());
    if (left <= room && writer.begun_.empty()) {
      writer.has_begun_ = true;
      put_pieces(std::exchange(writer.pieces_, {}), left);
      break;
    }
    if (room == 0) return false;
    room = std::min(room, left);
    std::array<ByteView, 64> pieces;  // those that there is room for, the last one in part
    std::size_t count = 0;
    std::size_t size = 0;
    while (size < room && count < pieces.size()) {
      pieces[count] = writer.next(room - size);
      size += pieces[count++].size();
    }
    writer.has_begun_ = true;
    put_pieces(std::span(pieces).first(count), size);
  }
  return true;
}

bool Stream::push_shared(SharedWriteOperation& writer) {
  while (!is_ending()) {
    if (writer.rest_.empty()) {
      if (writer.more_.empty()) return true;
      writer.rest_ = writer.more_.front();
      writer.more_ = writer.more_.subspan(1);
      continue;
    }
    const std::size_t room = room_behind(queued_ahead());
    if (room == 0) return false;
    const Bytes piece = writer.rest_.slice(0, room);
    writer.rest_ = writer.rest_.slice(piece.size());
    writer.has_begun_ = true;
    put_shared(std::span(&piece, 1));
  }
  return true;
}

// One piece of a file is in the queue at a time. A stop leaves the others unsent.
bool Stream::push_file(FileWriteOperation& writer) {
  if (is_ending() || writer.left_ == 0) return true;
  if (queue_.has_files() || room_behind(queued_ahead()) == 0) return false;
  const std::uint64_t piece = std::min<std::uint64_t>(writer.left_, kFilePiece);
  FilePart part = {.file = writer.file_, .offset = writer.offset_, .left = piece};
  writer.offset_ += piece;
  writer.left_ -= piece;
  writer.has_begun_ = true;
  put_file(std::move(part));
  if (is_ending() || writer.left_ == 0) return true;
  if (!is_write_blocked_) core_->wake(*this);  // goes on when others have had their turn
  return false;
}

bool Stream::push_splice(SpliceWriteOperation& writer) {
  Splice& splice = writer.splice_;
  if (splice.count != 0 && !is_ending()) {
    if (queue_.has_files()) return false;
    put_file({.pipe = splice.pipe, .left = std::exchange(splice.count, 0)});
  }
  if (is_ending()) return true;
  if (queue_.has_files()) return false;
  this_thread.buffers->pipes.give(std::exchange(splice.pipe, {}));
  return true;
}

// The descriptors go with the first piece, and the other pieces are bytes like others. Descriptors
// that never have room below the high mark go when nothing is ahead of them.
bool Stream::push_descriptors(DescriptorWriteOperation& writer) {
  if (!writer.descriptors_.empty() && !is_ending()) {
    const std::size_t ahead = queued_ahead();
    const std::size_t room = room_behind(ahead);
    const std::size_t least = DescriptorPart::size_of(1, writer.descriptors_.size());
    if (least > room && ahead != 0) return false;
    const std::size_t of_bytes = 1 + room - std::min(room, least);
    const ByteView piece = writer.rest_.first(std::min(writer.rest_.size(), of_bytes));
    std::string copy(piece.text());  // may throw, and then the writer has its descriptors still
    writer.rest_ = writer.rest_.subspan(piece.size());
    writer.has_begun_ = true;
    put_descriptors({std::move(copy), std::exchange(writer.descriptors_, {})});
    if (is_ending()) return true;
  }
  return push_rest(writer, writer.rest_);
}

// Whether a writer waits that has given a part of its bytes. Nothing else may come before the rest.
bool Stream::is_amid_write() const {
  return first_writer() != nullptr && first_writer()->has_begun_;
}

// What a writer waits for: the queued bytes that go before its own.
std::size_t Stream::queued_ahead() const {
  return queued_bytes() - (tasks() != nullptr ? tasks()->sent.size() : 0);
}

// The first writer is gone. What was sent meanwhile is next, before anything that its coroutine
// writes then.
void Stream::release_sent() {
  WriteQueue& sent = tasks()->sent;
  if (sent.empty() || is_ending()) return;
  try {
    flush();  // what is gathered goes before it
    if (is_ending()) return;
    if (queue_.empty()) moved_ |= kQueued;
    queue_.append_all(sent);
    flush();
  } catch (const std::bad_alloc&) {
    no_memory();
  }
}

// Lets writers go on when the queue is at its low mark, and flush() when it is empty.
void Stream::resume_writers() {
  {
    const Trampoline::Run run(this_thread.now);
    StreamTasks& tasks = *this->tasks();
    while (tasks.first_writer != nullptr) {
      WriteOperationBase& writer = *tasks.first_writer;
      const bool is_flush = writer.kind_ == WriteOperationBase::Kind::flush;
      if (!is_flush && queued_ahead() > low_mark()) break;
      if (!push(writer) || tasks.first_writer != &writer) break;
      tasks.first_writer = writer.next_;
      release_sent();
      writer.end(absl::OkStatus());
    }
  }
  flush_now();  // what the coroutines have written
  const bool goes_on = first_writer() != nullptr || high_mark_.is_set();
  if (goes_on && !is_write_blocked_ && !is_ending()) (void)word().wake();
}

}  // namespace epore::internal
