// How a Stream serves the reads of coroutines: what begins in its order, and the part of a run that
// goes on with it.

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/base/fetch_ahead.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/splice_operations.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
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

}  // namespace

// The bytes that no coroutine has consumed.
std::span<const std::byte> Stream::received() const {
  return inflow_ ? inflow_->bytes() : std::span<const std::byte>();
}

// The bytes that were read are gone.
void Stream::drop_lent() {
  if (inflow_->is_all_lent()) {
    inflow_ = nullptr;
  } else {
    inflow_->begin_read();
  }
}

// A connection that waits for bytes holds nothing for them.
void Stream::drop_empty_inflow() {
  if (inflow_ && inflow_->empty()) inflow_ = nullptr;
}

void Stream::refuse_on_data() {
  tell([this] {
    LOG(ERROR) << "epore: " << describe()
               << ": on_data is refused, because a coroutine reads from the connection";
  });
  on_data_ = nullptr;
}

bool Stream::begin_read(ReadOperationBase& reader, absl::Status& status) {
  use_tasks();
  const Wanted& wanted = reader.wanted_;
  if (on_data_ && is_read_by_task_) refuse_on_data();
  if (on_data_) {
    status = absl::FailedPreconditionError(
        absl::StrCat(reader.name(), ": the connection has an on_data callback"));
    return true;
  }
  if (this->reader() != nullptr || has_untaken_.load(std::memory_order_acquire)) {
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
  is_read_by_task_ = true;
  if (inflow_) drop_lent();
  if ((inflow_ || wanted.kind != Wanted::Kind::some) && satisfy(reader, status)) return true;
  bool looks_once_more = is_draining_;  // as in pull()
  while (phase_ == Phase::open && !read_closed_ && is_registered_ &&
         (edges_.is_ready(Direction::read) || looks_once_more) && receives_left_ > 0) {
    // Only what send() has queued holds the reader up: write() waits itself, and has no mark.
    if (high_mark_.is_set() && !is_draining_ && (is_held_ || hold_reading())) break;
    if (receive_for(reader)) looks_once_more = false;
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
  if (must_end_read(looks_once_more)) {
    status = absl::CancelledError(absl::StrCat(reader.name(), ": the runtime shuts down"));
    return true;
  }
  set_reader(&reader);
  drop_empty_inflow();
  // A run goes on behind the budget, or rearms for an engine without edges.
  if (looks_once_more ||
      (!is_runner() && (edges_.is_ready(Direction::read) || !home().has_edges()))) {
    core_->wake(*this);
  }
  return false;
}

// Whether a read that has no byte ends, because of a drain. Not while bytes may be there that it
// has not looked for: behind the budget, or behind an event that was not reported yet.
bool Stream::must_end_read(bool looks_once_more) const {
  return is_draining_ && received().empty() && !looks_once_more &&
         !edges_.is_ready(Direction::read);
}

Runnable* Stream::claim_order() {
  if (!order_->claim_for(*this)) return nullptr;
  if (reader() != nullptr) fetch_frame();  // of the first event of a turn
  return order_.get();
}

// The frame of a coroutine and the root of its task are some ten cache lines. The processor fetches
// all of them at once, and not one after the other when they are used: the frame while the event
// before this one is served, and the root during the call of the system, when the frame is there.
// The reader is somewhere in the frame, and its outermost scope somewhere in the root.
void Stream::fetch_parts() const {
  if (order_) fetch_ahead<0, sizeof(OrderState)>(order_.get());
  if (reader() != nullptr) fetch_frame();
}

void Stream::fetch_frame() const { fetch_ahead<192, 192>(reader()); }

void Stream::fetch_root() const { fetch_ahead<96, sizeof(TaskScope)>(reader()->waiter().scope); }

// The part of a run that serves a reader. The coroutine is resumed in this run.
void Stream::pull() {
  if (on_data_) [[unlikely]]
    refuse_on_data();
  receives_left_ = kReceivesAtOnce;
  if (reader() == nullptr) {
    if (!read_closed_ && edges_.is_ready(Direction::read)) take_hang_up();
    return;
  }
  const Trampoline::Run run(this_thread.now);
  fetch_root();
  bool looks_once_more = is_draining_;  // an event may not have been reported yet
  while (reader() != nullptr && receives_left_ > 0 &&
         (edges_.is_ready(Direction::read) || looks_once_more)) {
    if (high_mark_.is_set() && !is_draining_ && (is_held_ || hold_reading())) {
      take_hang_up();
      break;
    }
    ReadOperationBase& reader = *this->reader();
    if (receive_for(reader)) looks_once_more = false;
    if (this->reader() == nullptr) return;  // it has failed
    absl::Status status;
    bool is_complete = satisfy(reader, status);
    if (!is_complete && read_closed_) {
      satisfy_at_end(reader, status);
      is_complete = true;
    }
    if (!is_complete) continue;
    set_reader(nullptr);
    reader.end(std::move(status));
    return;
  }
  if (reader() == nullptr) return;
  drop_empty_inflow();
  if (looks_once_more) (void)word().wake();
  if (must_end_read(looks_once_more)) {
    ReadOperationBase& reader = *this->reader();
    set_reader(nullptr);
    reader.end(absl::CancelledError(absl::StrCat(reader.name(), ": the runtime shuts down")));
  }
}

// Receives once into a pipe. False: the bytes must be copied, because there are few, because there
// is no pipe, or because a signal has interrupted it.
bool Stream::receive_into_pipe(SpliceReadOperation& reader) {
  Splice& splice = reader.splice_;
  if (!splice.is_much || splice.is_refused || is_unix_) return false;
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
  return not_received(result, "splice", mark);
}

void Stream::note_received(std::size_t count) {
  moved_ |= kReceived;
  if (!is_runner() && timeouts().idle != kNever) core_->wake(*this);  // notes the time
  core_->counters().add(Counter::bytes_in, count);
}

// A call that began at `mark` has received nothing. Returns false if a signal has interrupted it.
bool Stream::not_received(SysResult result, std::string_view call, std::uint32_t mark) {
  if (result.ok()) {
    read_closed_ = true;
    if (!is_runner() && write_shut_) core_->wake(*this);  // which ends the connection
  } else if (result.error() == EAGAIN) {
    edges_.use_up(Direction::read, mark);
  } else if (result.error() == EINTR) {
    return false;
  } else {
    fail_call(call, result.error());
  }
  return true;
}

std::size_t Stream::count_of(const ReadOperationBase& reader) {
  return static_cast<const SizedReadOperation&>(reader).count_;
}

// The buffer that a reader needs which has not got enough.
std::size_t Stream::room_for(const ReadOperationBase& reader) const {
  const std::size_t count = count_of(reader);
  if (reader.wanted_.kind == Wanted::Kind::until) {
    return std::min(count, std::max(kFirstRoom, received().size() + 1));
  }
  return reader.wanted_.kind == Wanted::Kind::peek ? std::max(count, kPeekRoom) : count;
}

// Receives once, to where the reader needs the bytes. Returns false if a signal has interrupted it.
bool Stream::receive_for(ReadOperationBase& reader) {
  if (has_receives_) [[unlikely]]
    return receive_arrived(reader);
  const Wanted& wanted = reader.wanted_;
  ReadBuffer& buffer = this_thread.buffers->read;
  if (wanted.kind == Wanted::Kind::splice && received().empty() &&
      receive_into_pipe(static_cast<SpliceReadOperation&>(reader))) {
    --receives_left_;
    return true;
  }
  std::span<std::byte> target;
  bool is_window = false;
  if (wanted.kind == Wanted::Kind::into) {
    target = wanted.into();
  } else if (received().empty()) {
    if (!inflow_) inflow_ = std::make_unique<Inflow>();  // before there are bytes to lose
    target = buffer.window();
    is_window = true;
  } else {
    target = inflow_->room(room_for(reader));
  }
  --receives_left_;
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
      inflow_->set_window(target.first(count));
      buffer.lent_to = this;
    } else if (wanted.kind == Wanted::Kind::into) {
      reader.wanted_.bytes = ByteView(target.data(), count);
      give(reader, 0);
    } else {
      inflow_->add(count);
    }
    return true;
  }
  return not_received(result, "recv", mark);
}

// Completes the reader if there are the bytes that it wants.
bool Stream::satisfy(ReadOperationBase& reader, absl::Status& status) {
  const Wanted& wanted = reader.wanted_;
  const std::span<const std::byte> bytes = received();
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
      if (bytes.empty() || bytes.size() < count_of(reader)) return false;
      reader.wanted_.bytes = ByteView(bytes);
      give(reader, 0);
      return true;
    case Wanted::Kind::exactly:
      if (bytes.size() < count_of(reader)) return false;
      reader.wanted_.bytes = ByteView(bytes.first(count_of(reader)));
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
        inflow_->drop(count);
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
  if (inflow_) inflow_->lend(lent);
  has_untaken_.store(true, std::memory_order_relaxed);
}

bool Stream::satisfy_until(ReadOperationBase& reader, absl::Status& status) {
  const Wanted& wanted = reader.wanted_;
  const std::size_t limit = count_of(reader);
  const std::string_view text = ByteView(received()).text();
  const std::size_t found = text.find(wanted.delimiter(), inflow_ ? inflow_->searched : 0);
  const std::size_t end =
      found == std::string_view::npos ? text.size() : found + wanted.delimiter().size();
  if (found != std::string_view::npos && end <= limit) {
    reader.wanted_.bytes = ByteView(text.substr(0, end));
    return true;
  }
  if (end >= limit) {
    status = absl::ResourceExhaustedError(absl::StrCat(
        "Connection::read_until: there is no delimiter in the first ", limit, " bytes"));
    return true;
  }
  if (text.empty()) return false;
  const std::size_t searched = text.size() - std::min(text.size(), wanted.delimiter().size() - 1);
  inflow_->searched = static_cast<std::uint32_t>(
      std::min<std::size_t>(searched, std::numeric_limits<std::uint32_t>::max()));
  return false;
}

// Completes the reader when the peer has ended its half, and there are fewer bytes than it wants.
void Stream::satisfy_at_end(ReadOperationBase& reader, absl::Status& status) {
  const Wanted::Kind kind = reader.wanted_.kind;
  if (kind == Wanted::Kind::exactly || kind == Wanted::Kind::until) {
    status = early_end(reader.name());
    return;
  }
  reader.wanted_.bytes = ByteView(received());  // peek(); empty for the others
  if (!reader.wanted_.bytes.empty()) {
    give(reader, 0);
  } else if (ends_told_.load(std::memory_order_relaxed) == kEndsTold) {
    status = past_end(reader.name());  // in a row, as nothing comes behind the end
  } else {
    reader.wanted_.is_end = true;
  }
}

absl::Status Stream::early_end(const char* call) const {
  return absl::OutOfRangeError(absl::StrCat(call, ": the peer of connection ", id_, " ended after ",
                                            received().size(), " bytes"));
}

absl::Status Stream::past_end(const char* call) const {
  return absl::OutOfRangeError(
      absl::StrCat(call, ": the peer of connection ", id_, " has ended, and ", kEndsTold,
                   " reads in a row have said so with no byte; a loop of reads must end then"));
}

// Without memory for the text that it compares with: no.
bool Stream::is_past_end(const absl::Status& status) const noexcept try {
  if (!absl::IsOutOfRange(status) || ends_told_.load(std::memory_order_relaxed) < kEndsTold) {
    return false;
  }
  for (const char* call :
       {"Connection::read", "Connection::read_some", "Connection::peek", "splice"}) {
    if (status == past_end(call)) return true;
  }
  return false;
} catch (const std::bad_alloc&) {
  return false;
}

// The text names the connection: the end of another one, such as of a proxy's origin, is an error.
bool Stream::is_end_between_messages(const absl::Status& status) const noexcept try {
  return absl::IsOutOfRange(status) && read_closed_ && received().empty() &&
         (status == early_end("Connection::read_until") ||
          status == early_end("Connection::read_exactly"));
} catch (const std::bad_alloc&) {
  return false;
}

// At once in the order, also where another run of it resumed the coroutine: the next read must not
// see the bytes again. By mail otherwise, which no later read overtakes.
void Stream::consume(std::size_t count) {
  if (!has_turn()) return mail([count](Stream& stream) { stream.drop_seen(count); });
  drop_seen(count);
}

void Stream::drop_seen(std::size_t count) {
  if (has_untaken_.load(std::memory_order_acquire)) {
    tell([this] {
      LOG(ERROR)
          << "epore: " << describe()
          << ": consume() drops nothing, because another coroutine reads from the connection";
    });
    return;
  }
  if (!inflow_) return;
  inflow_->drop_lent();
  inflow_->drop(count);
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
      if (!inflow_) inflow_ = std::make_unique<Inflow>();
      inflow_->put_back(bytes);
    } else if (inflow_) {
      inflow_->take_back();
    }
    has_untaken_.store(false, std::memory_order_relaxed);
  } catch (const std::bad_alloc&) {
    no_memory();
  }
}

void Stream::keep_view() {
  if (has_receives_) [[unlikely]]
    keep_arrived();
  keep_window();
}

void Stream::keep_window() {
  ReadBuffer& buffer = this_thread.buffers->read;
  if (buffer.lent_to == this) buffer.lent_to = nullptr;
  if (inflow_) inflow_->keep(buffer);
}

}  // namespace epore::internal
