// How a Stream serves coroutines: what begins in its order, and the part of a run that goes on with
// it. stream_operation.cc has what they await.

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/splice_operations.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore::internal {
namespace {

// The most reads of one run, as with callbacks. Then other connections get their turn.
constexpr std::int8_t kReceivesAtOnce = 16;

// The first buffer of a read_until() whose bytes come in pieces.
constexpr std::size_t kFirstRoom = 4096;

// The least buffer of a peek() that wants more than there is: it shows everything that has come.
constexpr std::size_t kPeekRoom = 16 * 1024;

// So much at once is much: a pipe costs less than a copy. A pipe costs two calls more.
constexpr std::size_t kMuch = 16 * 1024;

// The most of a file that is in the queue for a coroutine.
constexpr std::uint64_t kFilePiece = 1024 * 1024;

}  // namespace

void Stream::use_tasks() {
  if (!tasks_) tasks_ = std::make_unique<StreamTasks>();
}

void Stream::count_handles(bool is_of_task) {
  counts_handles_ = true;
  is_of_task_ = is_of_task;
  if (is_of_task) core_->tasks().begin_connection();
}

void Stream::drop_handle() {
  if (handles_.fetch_sub(1, std::memory_order_acq_rel) == 2) close(absl::OkStatus());
}

// Why an operation fails now.
absl::Status Stream::ended_status() const {
  if (!end_.ok()) return end_;
  return absl::CancelledError("the connection is closed");
}

void Stream::refuse_on_data() {
  LOG(ERROR) << "epore: " << describe()
             << ": on_data is refused, because a coroutine reads from the connection";
  on_data_ = nullptr;
}

bool Stream::begin_read(ReadOperationBase& reader, absl::Status& status) {
  use_tasks();
  StreamTasks& tasks = *tasks_;
  const Wanted& wanted = reader.wanted_;
  if (on_data_ && tasks.is_used) refuse_on_data();
  if (on_data_) {
    status = absl::FailedPreconditionError(
        absl::StrCat(reader.name(), ": the connection has an on_data callback"));
    return true;
  }
  if (tasks.reader != nullptr || tasks.has_untaken.load(std::memory_order_acquire)) {
    if (phase_ != Phase::open) {  // which may have dropped the mail of give_back()
      status = ended_status();
    } else {
      status = absl::FailedPreconditionError(
          absl::StrCat(reader.name(), ": another coroutine reads from the connection"));
    }
    return true;
  }
  if (wanted.kind == Wanted::Kind::until && wanted.delimiter().empty()) {
    status = absl::InvalidArgumentError("Connection::read_until: the delimiter is empty");
    return true;
  }
  if (wanted.kind == Wanted::Kind::into && wanted.into().empty()) {
    status = absl::InvalidArgumentError("Connection::read_some: the buffer is empty");
    return true;
  }
  tasks.is_used = true;
  tasks.searched = 0;
  tasks.inflow.drop_lent();
  if (satisfy(reader, status)) return true;
  bool looks_once_more = tasks.is_draining;  // as in pull()
  while (phase_ == Phase::open && !read_closed_ && is_registered_ &&
         (edges_.is_ready(Direction::read) || looks_once_more) && tasks.receives_left > 0) {
    looks_once_more = false;
    receive_for(reader);
    if (satisfy(reader, status)) return true;
  }
  if (phase_ != Phase::open) {
    status = ended_status();
    return true;
  }
  if (read_closed_) {
    satisfy_at_end(reader, status);
    return true;
  }
  if (tasks.is_draining && tasks.inflow.empty()) {
    status = absl::CancelledError(absl::StrCat(reader.name(), ": the runtime shuts down"));
    return true;
  }
  tasks.reader = &reader;
  // A run goes on behind the budget, or rearms for an engine without edges.
  if (!is_runner() && (edges_.is_ready(Direction::read) || !home().has_edges())) {
    core_->wake(*this);
  }
  return false;
}

// The part of a run that serves a reader. The coroutine is resumed in this run.
void Stream::pull() {
  StreamTasks& tasks = *tasks_;
  if (on_data_) [[unlikely]]
    refuse_on_data();
  tasks.receives_left = kReceivesAtOnce;
  if (tasks.reader == nullptr) {
    if (!read_closed_ && edges_.is_ready(Direction::read)) take_hang_up();
    return;
  }
  const Trampoline::Run run(this_thread.now);
  bool looks_once_more = tasks.is_draining;  // an event may not have been reported yet
  while (tasks.reader != nullptr && tasks.receives_left > 0 &&
         (edges_.is_ready(Direction::read) || looks_once_more)) {
    looks_once_more = false;
    ReadOperationBase& reader = *tasks.reader;
    receive_for(reader);
    if (tasks.reader == nullptr) return;  // it has failed
    absl::Status status;
    bool is_complete = satisfy(reader, status);
    if (!is_complete && read_closed_) {
      satisfy_at_end(reader, status);
      is_complete = true;
    }
    if (!is_complete) continue;
    tasks.reader = nullptr;
    reader.end(std::move(status));
    return;
  }
  if (tasks.reader != nullptr && tasks.is_draining && tasks.inflow.empty() &&
      !edges_.is_ready(Direction::read)) {
    ReadOperationBase& reader = *std::exchange(tasks.reader, nullptr);
    reader.end(absl::CancelledError(absl::StrCat(reader.name(), ": the runtime shuts down")));
  }
}

// Receives once into a pipe. False: the bytes must be copied, because there are few, or because
// there is no pipe.
bool Stream::receive_into_pipe(SpliceReadOperation& reader) {
  Splice& splice = reader.splice_;
  if (!splice.is_much || splice.is_refused || unix_) return false;
  PipeCache& pipes = this_thread.buffers->pipes;
  Ref<Pipe> pipe = pipes.take(core_->kernel());
  if (!pipe) return false;
  const std::uint32_t mark = edges_.mark(Direction::read);
  const SysResult result = core_->kernel().splice(fd_.get(), pipe->in.get(), Pipe::kSize,
                                                  SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (result.value() > 0) {
    splice.pipe = std::move(pipe);
    splice.count = static_cast<std::size_t>(result.value());
    splice.is_much = splice.count >= kMuch;
    note_received(splice.count);
    return true;
  }
  pipes.give(std::move(pipe));
  if (is_splice_refusal(result.error())) {
    splice.is_refused = true;
    return false;
  }
  not_received(result, "splice", mark);
  return true;
}

void Stream::note_received(std::size_t count) {
  moved_ |= kReceived;
  if (!is_runner() && timeouts().idle != kNever) core_->wake(*this);  // notes the time
  core_->counters().add(Counter::bytes_in, count);
}

// A call that began at `mark` has received nothing.
void Stream::not_received(SysResult result, std::string_view call, std::uint32_t mark) {
  if (result.ok()) {
    read_closed_ = true;
    if (!is_runner() && write_shut_) core_->wake(*this);  // which ends the connection
  } else if (result.error() == EAGAIN) {
    edges_.use_up(Direction::read, mark);
  } else if (result.error() != EINTR) {
    fail_call(call, result.error());
  }
}

// Receives once, to where the reader needs the bytes.
void Stream::receive_for(ReadOperationBase& reader) {
  StreamTasks& tasks = *tasks_;
  Inflow& inflow = tasks.inflow;
  const Wanted& wanted = reader.wanted_;
  ReadBuffer& buffer = this_thread.buffers->read;
  if (wanted.kind == Wanted::Kind::splice && inflow.empty() &&
      receive_into_pipe(static_cast<SpliceReadOperation&>(reader))) {
    --tasks.receives_left;
    return;
  }
  std::span<std::byte> target;
  bool is_window = false;
  if (wanted.kind == Wanted::Kind::into) {
    target = wanted.into();
  } else if (inflow.empty()) {
    target = buffer.window();
    is_window = true;
  } else {
    std::size_t capacity = wanted.count;
    if (wanted.kind == Wanted::Kind::until) {
      capacity = std::min(wanted.count, std::max(kFirstRoom, 2 * inflow.bytes().size()));
    } else if (wanted.kind == Wanted::Kind::peek) {
      capacity = std::max(wanted.count, kPeekRoom);
    }
    target = inflow.room(capacity);
  }
  --tasks.receives_left;
  const std::uint32_t mark = edges_.mark(Direction::read);
  const SysResult result = receive(target);
  if (result.value() > 0) {
    const std::size_t count = static_cast<std::size_t>(result.value());
    // As in read(): a short read has drained the socket, unless more may follow without an edge.
    if (count < target.size() && !may_have_more()) {
      edges_.use_up(Direction::read, mark);
    }
    note_received(count);
    if (is_window) {
      inflow.set_window(target.first(count));
      buffer.lent_to = this;
    } else if (wanted.kind == Wanted::Kind::into) {
      reader.wanted_.bytes = ByteView(target.data(), count);
      give(reader, 0);
    } else {
      inflow.add(count);
    }
  } else {
    not_received(result, "recv", mark);
  }
}

// Completes the reader if there are the bytes that it wants.
bool Stream::satisfy(ReadOperationBase& reader, absl::Status& status) {
  Inflow& inflow = tasks_->inflow;
  const Wanted& wanted = reader.wanted_;
  const std::span<const std::byte> bytes = inflow.bytes();
  switch (wanted.kind) {
    case Wanted::Kind::some:
      if (bytes.empty()) return false;
      reader.wanted_.bytes = ByteView(bytes);
      break;
    case Wanted::Kind::splice: {
      Splice& splice = static_cast<SpliceReadOperation&>(reader).splice_;
      if (splice.count != 0) return true;  // nothing is lent
      if (bytes.empty()) return false;
      splice.is_much = bytes.size() >= kMuch;
      reader.wanted_.bytes = ByteView(bytes);
      break;
    }
    case Wanted::Kind::peek:
      if (bytes.empty() || bytes.size() < wanted.count) return false;
      reader.wanted_.bytes = ByteView(bytes);
      give(reader, 0);
      return true;
    case Wanted::Kind::exactly:
      if (bytes.size() < wanted.count) return false;
      reader.wanted_.bytes = ByteView(bytes.first(wanted.count));
      break;
    case Wanted::Kind::until:
      if (!satisfy_until(reader, status)) return false;
      if (!status.ok()) return true;
      break;
    case Wanted::Kind::into:
      if (!wanted.is_got) {
        if (bytes.empty()) return false;
        const std::size_t count = std::min(bytes.size(), wanted.into().size());
        std::memcpy(wanted.into().data(), bytes.data(), count);
        inflow.drop(count);
        reader.wanted_.bytes = wanted.bytes.first(count);
        give(reader, 0);
      }
      return true;
  }
  give(reader, wanted.bytes.size());
  return true;
}

// The reader has got bytes. The first `lent` bytes of the inflow are gone once it has taken them.
void Stream::give(ReadOperationBase& reader, std::size_t lent) {
  reader.wanted_.is_got = true;
  tasks_->inflow.lend(lent);
  tasks_->has_untaken.store(true, std::memory_order_relaxed);
}

bool Stream::satisfy_until(ReadOperationBase& reader, absl::Status& status) {
  const Wanted& wanted = reader.wanted_;
  const std::string_view text = ByteView(tasks_->inflow.bytes()).text();
  const std::size_t found = text.find(wanted.delimiter(), tasks_->searched);
  const std::size_t end =
      found == std::string_view::npos ? text.size() : found + wanted.delimiter().size();
  if (found != std::string_view::npos && end <= wanted.count) {
    reader.wanted_.bytes = ByteView(text.substr(0, end));
    return true;
  }
  if (end >= wanted.count) {
    status = absl::ResourceExhaustedError(absl::StrCat(
        "Connection::read_until: there is no delimiter in the first ", wanted.count, " bytes"));
    return true;
  }
  const std::size_t searched = text.size() - std::min(text.size(), wanted.delimiter().size() - 1);
  tasks_->searched = static_cast<std::uint32_t>(
      std::min<std::size_t>(searched, std::numeric_limits<std::uint32_t>::max()));
  return false;
}

// Completes the reader when the peer has ended its half, and there are fewer bytes than it wants.
void Stream::satisfy_at_end(ReadOperationBase& reader, absl::Status& status) {
  const Wanted::Kind kind = reader.wanted_.kind;
  if (kind == Wanted::Kind::exactly || kind == Wanted::Kind::until) {
    status = absl::OutOfRangeError(absl::StrCat(reader.name(), ": the peer ended after ",
                                                tasks_->inflow.bytes().size(), " bytes"));
    return;
  }
  reader.wanted_.bytes = ByteView(tasks_->inflow.bytes());  // peek(); empty for the others
  if (!reader.wanted_.bytes.empty()) give(reader, 0);
}

// At once in the order, also where another run of it resumed the coroutine: the next read must not
// see the bytes again. By mail otherwise, which no later read overtakes.
void Stream::consume(std::size_t count) {
  if (!has_turn()) return mail([count](Stream& stream) { stream.drop_seen(count); });
  drop_seen(count);
}

void Stream::drop_seen(std::size_t count) {
  if (!tasks_) return;
  if (tasks_->has_untaken.load(std::memory_order_acquire)) {
    LOG(ERROR) << "epore: " << describe()
               << ": consume() drops nothing, because another coroutine reads from the connection";
    return;
  }
  tasks_->inflow.drop_lent();
  tasks_->inflow.drop(count);
}

// A read has completed, and nobody has taken its bytes. They are in the inflow still, or they were
// copied out of it.
void Stream::give_back(std::span<const std::byte> bytes, bool is_copied) {
  try {
    if (!is_in_order()) {
      std::string copy(is_copied ? ByteView(bytes).text() : std::string_view());
      mail([copy = std::move(copy), is_copied](Stream& stream) {
        stream.give_back(ByteView(std::string_view(copy)), is_copied);
      });
      return;
    }
    if (is_copied) {
      tasks_->inflow.put_back(bytes);
    } else {
      tasks_->inflow.take_back();
    }
    tasks_->has_untaken.store(false, std::memory_order_relaxed);
  } catch (const std::bad_alloc&) {
    no_memory();
  }
}

void Stream::keep_view() {
  ReadBuffer& buffer = this_thread.buffers->read;
  if (buffer.lent_to == this) buffer.lent_to = nullptr;
  if (tasks_) tasks_->inflow.keep(buffer);
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
  if ((!tasks_ || tasks_->first_writer == nullptr) && push(writer)) {
    if (is_ending()) status = ended_status();
    return true;
  }
  if (is_ending()) {
    status = ended_status();
    return true;
  }
  use_tasks();
  append(writer);
  return false;
}

void Stream::append(WriteOperationBase& writer) {
  StreamTasks& tasks = *tasks_;
  writer.next_ = nullptr;
  if (tasks.first_writer != nullptr) {
    tasks.last_writer->next_ = &writer;
  } else {
    tasks.first_writer = &writer;
  }
  tasks.last_writer = &writer;
}

// Gives the bytes of a writer to the system and to the queue, which stays within its high mark.
// Returns whether all are gone, or the connection has failed.
bool Stream::push(WriteOperationBase& writer) {
  switch (writer.kind_) {
    case WriteOperationBase::Kind::bytes:
      return push_bytes(static_cast<WriteOperation&>(writer));
    case WriteOperationBase::Kind::shared:
      return push_shared(static_cast<SharedWriteOperation&>(writer));
    case WriteOperationBase::Kind::file:
      return push_file(static_cast<FileWriteOperation&>(writer));
    case WriteOperationBase::Kind::splice:
      return push_splice(static_cast<SpliceWriteOperation&>(writer));
    case WriteOperationBase::Kind::flush:
      flush_output();
      return is_ending() || !has_output();
  }
  return true;
}

bool Stream::push_bytes(WriteOperation& writer) {
  std::size_t queued = queued_ahead();
  while (!writer.rest_.empty() && queued < limits_->write_high_mark && !is_ending()) {
    const std::size_t room = limits_->write_high_mark - queued;
    const ByteView piece = writer.rest_.first(std::min(writer.rest_.size(), room));
    put(piece);
    writer.rest_ = writer.rest_.subspan(piece.size());
    writer.has_begun_ = true;
    queued = queued_ahead();
  }
  return writer.rest_.empty() || is_ending();
}

bool Stream::push_shared(SharedWriteOperation& writer) {
  std::size_t queued = queued_ahead();
  while (!is_ending()) {
    if (writer.rest_.empty()) {
      if (writer.more_.empty()) return true;
      writer.rest_ = writer.more_.front();
      writer.more_ = writer.more_.subspan(1);
      continue;
    }
    if (queued >= limits_->write_high_mark) return false;
    const Bytes piece = writer.rest_.slice(0, limits_->write_high_mark - queued);
    put_shared(std::span(&piece, 1));
    writer.rest_ = writer.rest_.slice(piece.size());
    writer.has_begun_ = true;
    queued = queued_ahead();
  }
  return true;
}

// One piece of a file is in the queue at a time. A stop leaves the others unsent.
bool Stream::push_file(FileWriteOperation& writer) {
  if (is_ending() || writer.left_ == 0) return true;
  if (queue_.has_files() || queued_ahead() >= limits_->write_high_mark) return false;
  const std::uint64_t piece = std::min<std::uint64_t>(writer.left_, kFilePiece);
  put_file({.file = writer.file_, .offset = writer.offset_, .left = piece});
  writer.offset_ += piece;
  writer.left_ -= piece;
  writer.has_begun_ = true;
  if (writer.left_ == 0 || is_ending()) return true;
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

// Whether a writer waits that has given a part of its bytes. Nothing else may come before the rest.
bool Stream::is_amid_write() const {
  return tasks_ && tasks_->first_writer != nullptr && tasks_->first_writer->has_begun_;
}

// What a writer waits for: the queued bytes that go before its own.
std::size_t Stream::queued_ahead() const {
  return queued_bytes() - (tasks_ ? tasks_->sent.size() : 0);
}

// The first writer is gone. What was sent meanwhile is next, before anything that its coroutine
// writes then.
void Stream::release_sent() {
  WriteQueue& sent = tasks_->sent;
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
    StreamTasks& tasks = *tasks_;
    while (tasks.first_writer != nullptr) {
      WriteOperationBase& writer = *tasks.first_writer;
      const bool is_flush = writer.kind_ == WriteOperationBase::Kind::flush;
      if (!is_flush && queued_ahead() > limits_->write_low_mark) break;
      if (!push(writer) || tasks.first_writer != &writer) break;
      tasks.first_writer = writer.next_;
      release_sent();
      writer.end(absl::OkStatus());
    }
  }
  flush_output();  // what the coroutines have written
  if (tasks_->first_writer != nullptr && !is_write_blocked_ && !is_ending()) (void)word().wake();
}

bool Stream::begin_closed(ClosedOperation& waiter, absl::Status& status) {
  if (phase_ == Phase::closed) return true;
  if (!tasks_) {
    use_tasks();
    tasks_->is_of_closed = true;
  }
  if (tasks_->is_draining) {
    status = absl::CancelledError(absl::StrCat(waiter.name(), ": the runtime shuts down"));
    return true;
  }
  waiter.next_ = std::exchange(tasks_->first_closed, &waiter);
  return false;
}

void Stream::end_closed(const absl::Status& status) {
  ClosedOperation* waiter = std::exchange(tasks_->first_closed, nullptr);
  while (waiter != nullptr) std::exchange(waiter, waiter->next_)->end(status);
}

bool Stream::is_waiting(const StreamOperation& operation) const {
  if (!tasks_) return false;
  if (tasks_->reader == &operation) return true;
  const ClosedOperation* waiter = tasks_->first_closed;
  while (waiter != nullptr && waiter != &operation) waiter = waiter->next_;
  if (waiter != nullptr) return true;
  const WriteOperationBase* writer = tasks_->first_writer;
  while (writer != nullptr && writer != &operation) writer = writer->next_;
  return writer != nullptr;
}

// Cancels an operation that waits.
void Stream::cancel(StreamOperation& operation, const absl::Status& why) {
  StreamTasks& tasks = *tasks_;
  ClosedOperation** closed = &tasks.first_closed;
  while (*closed != nullptr && *closed != &operation) closed = &(*closed)->next_;
  if (tasks.reader == &operation) {
    tasks.reader = nullptr;
  } else if (*closed != nullptr) {
    *closed = (*closed)->next_;
  } else {
    WriteOperationBase* before = nullptr;
    WriteOperationBase* writer = tasks.first_writer;
    while (writer != &operation) before = std::exchange(writer, writer->next_);
    (before != nullptr ? before->next_ : tasks.first_writer) = writer->next_;
    if (tasks.last_writer == writer) tasks.last_writer = before;
    if (before == nullptr) release_sent();
  }
  operation.end(why);
}

// The connection closes or has failed: what waits for it ends. A flush() goes on until the queue is
// written.
void Stream::end_operations() {
  StreamTasks& tasks = *tasks_;
  if (tasks.reader != nullptr) std::exchange(tasks.reader, nullptr)->end(ended_status());
  WriteOperationBase* writer = std::exchange(tasks.first_writer, nullptr);
  tasks.last_writer = nullptr;
  while (writer != nullptr) {
    WriteOperationBase& ended = *std::exchange(writer, writer->next_);
    if (ended.kind_ == WriteOperationBase::Kind::flush && !is_ending()) {
      append(ended);
    } else {
      ended.end(ended_status());
    }
  }
  release_sent();
}

}  // namespace epore::internal
