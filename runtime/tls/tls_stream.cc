#include "epore/runtime/tls/tls_stream.h"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/blocking.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/until.h"

namespace epore::internal {
namespace {

using Step = TlsEngine::Step;

// So many records may be written without a wait, to a peer that takes them as fast as they come.
// They take some 100 us. Then other work has its turn.
constexpr int kRecordsAtOnce = 16;

// Sets a flag as long as it lives.
class Claim {
 public:
  explicit Claim(bool& flag) : flag_(flag) { flag_ = true; }
  Claim(const Claim&) = delete;
  ~Claim() { flag_ = false; }

 private:
  bool& flag_;
};

}  // namespace

// A connection without an order of tasks has callbacks only.
bool TlsStream::is_in_order(const Connection& connection) {
  const Ref<Stream>& stream = Stream::of(connection);
  return stream && stream->order() && stream->order()->is_current();
}

absl::Status TlsStream::error(absl::StatusCode code, std::string_view call,
                              std::string_view text) const {
  return absl::Status(code, absl::StrCat("TlsConnection::", call, "(",
                                         connection_.peer_address().to_string(), "): ", text));
}

// As Stream::past_end().
absl::Status TlsStream::past_end() const {
  return error(absl::StatusCode::kOutOfRange, "read",
               absl::StrCat("the peer has ended, and ", Stream::kEndsTold,
                            " reads in a row have said so with no byte; a loop of reads must end "
                            "then"));
}

absl::Status TlsStream::check(std::string_view call) const {
  if (is_elsewhere()) {
    return error(absl::StatusCode::kFailedPrecondition, call,
                 "not in the order of its connection; see epore::on()");
  }
  if (is_closed_) return error(absl::StatusCode::kCancelled, call, "after close()");
  return absl::OkStatus();
}

absl::Status TlsStream::check_write(std::string_view call) const {
  absl::Status status = check(call);
  if (!status.ok()) return status;
  if (!engine_->error().ok()) {
    return error(engine_->error().code(), call, engine_->error().message());
  }
  if (!is_write_shut_) return absl::OkStatus();
  return error(absl::StatusCode::kFailedPrecondition, call, "after shut_down_write()");
}

// Sends what the engine has for the peer. A connection that has ended says so to the next await.
SendResult TlsStream::send_output() {
  const std::string output = engine_->take_output();
  if (output.empty()) return SendResult::queued;
  const SendResult sent = connection_.send(output);
  is_high_ = sent == SendResult::high;
  return sent;
}

// The engine has failed, and the peer was sent the alert: nothing goes on.
absl::Status TlsStream::engine_failed(std::string_view call) {
  absl::Status status = error(engine_->error().code(), call, engine_->error().message());
  connection_.close(status);
  return status;
}

// Errors have no prefix here: who calls says what it was.
Task<> TlsStream::handshake(std::shared_ptr<TlsStream> self, std::optional<Lane> lane) {
  TlsStream& stream = *self;
  TlsEngine* const engine = stream.engine_.get();
  const auto go_on = [engine] { return engine->handshake(); };
  while (true) {
    Step step;
    if (lane.has_value()) {
      step = co_await blocking(*lane, go_on);
    } else {
      step = go_on();
    }
    (void)stream.send_output();
    if (step == Step::done) co_return;
    if (step == Step::failed) co_await engine->error();
    const ByteView bytes = co_await stream.connection_.read();
    if (bytes.empty()) {
      co_await absl::UnavailableError("the peer ended the connection during the handshake");
    }
    engine->feed(bytes);
  }
}

// Waits for bytes of the peer, and feeds them to the engine, which has asked for them. One caller
// does that. Others wait for it, and ask the engine again, also if it was stopped.
Task<> TlsStream::receive(std::shared_ptr<TlsStream> self) {
  TlsStream& stream = *self;
  if (stream.is_receiving_) {
    stream.has_received_.reset();
    ++stream.waiters_;
    const absl::Status status = co_await stream.has_received_.wait().result();
    --stream.waiters_;
    co_await status;
    co_return;
  }
  stream.is_receiving_ = true;
  const absl::StatusOr<ByteView> bytes = co_await stream.connection_.read().result();
  stream.is_receiving_ = false;
  if (stream.waiters_ != 0) stream.has_received_.set();
  if (!bytes.ok()) co_await bytes.status();
  if (bytes->empty()) {
    stream.read_error_ = stream.error(absl::StatusCode::kDataLoss, "read",
                                      "the peer ended the connection without close_notify");
    co_await stream.read_error_;
  }
  stream.engine_->feed(*bytes);
}

// A task that begins under a stop ends with it. A stop may come when receive() is complete and its
// coroutine has not been resumed: then nobody takes what read() would give. So the record stays in
// the engine, for the next read().
Task<> TlsStream::go_on() { co_return; }

Task<ByteView> TlsStream::read(std::shared_ptr<TlsStream> self) {
  TlsStream& stream = *self;
  co_await stream.check("read");
  if (stream.is_reading_) {
    co_await stream.error(absl::StatusCode::kFailedPrecondition, "read",
                          "another coroutine reads from the connection");
  }
  const Claim claim(stream.is_reading_);
  while (true) {
    if (stream.is_at_end_) {
      if (stream.ends_told_ == Stream::kEndsTold) co_await stream.past_end();
      ++stream.ends_told_;
      co_return ByteView();
    }
    if (!stream.read_error_.ok()) co_await stream.read_error_;
    if (stream.bytes_ == nullptr) {
      stream.bytes_ = std::make_unique_for_overwrite<std::byte[]>(TlsEngine::kRecord);
    }
    std::size_t count = 0;
    const Step step =
        stream.engine_->read(std::span(stream.bytes_.get(), TlsEngine::kRecord), count);
    (void)stream.send_output();  // an alert, or the answer to a change of keys
    if (step == Step::done) co_return ByteView(stream.bytes_.get(), count);
    stream.bytes_.reset();
    if (step == Step::ended) {
      stream.is_at_end_ = true;
    } else if (step == Step::failed) {
      stream.read_error_ = stream.engine_failed("read");
    } else {
      co_await receive(self);
      co_await go_on();
    }
  }
}

Task<> TlsStream::write(std::shared_ptr<TlsStream> self, ByteView bytes) {
  TlsStream& stream = *self;
  co_await stream.check_write("write");
  const AsyncLock lock = co_await stream.write_mutex_.lock();
  const bool was_cut = stream.is_cut_;
  for (int records = 0; !bytes.empty(); ++records) {
    if (records == kRecordsAtOnce) {
      records = 0;
      co_await yield();
    }
    while (stream.is_high_) {
      const absl::Status flushed =
          co_await until(stream.closing_.get_token(), stream.connection_.flush()).result();
      co_await stream.check_write("write");
      co_await flushed;
      stream.is_high_ = false;
    }
    co_await stream.check_write("write");
    const ByteView record = bytes.first(std::min(bytes.size(), TlsEngine::kRecord));
    const Step step = stream.engine_->write(record);
    const SendResult sent = stream.send_output();
    if (step == Step::wants_input) {
      co_await receive(self);
      continue;
    }
    bytes = bytes.subspan(record.size());
    if (step == Step::failed) co_await stream.engine_failed("write");
    if (!sent.ok()) {
      co_await stream.connection_.flush();  // ends with why the connection has ended
      co_await stream.error(sent.status().code(), "write", sent.status().message());
    }
    stream.is_cut_ = was_cut || !bytes.empty();
  }
}

Task<> TlsStream::shut_down_write(std::shared_ptr<TlsStream> self) {
  TlsStream& stream = *self;
  co_await stream.check("shut_down_write");
  const AsyncLock lock = co_await stream.write_mutex_.lock();
  if (stream.is_write_shut_) co_return;
  Step step;
  while (true) {
    co_await stream.check_write("shut_down_write");
    if (stream.is_cut_) {
      co_await stream.error(absl::StatusCode::kFailedPrecondition, "shut_down_write",
                            "a write() was stopped in the middle, so this would be no end");
    }
    step = stream.engine_->end();
    (void)stream.send_output();
    if (step != Step::wants_input) break;
    co_await receive(self);
  }
  if (step == Step::failed) co_await stream.engine_failed("shut_down_write");
  stream.is_write_shut_ = true;
  stream.connection_.shut_down_write();
}

void TlsStream::close(const std::shared_ptr<TlsStream>& self) {
  if (!self->is_elsewhere()) return self->close_in_order();
  absl::Status posted = self->connection_.post([self](Connection&) { self->close_in_order(); });
  // Without memory the order cannot be asked. Another error: the connection has ended.
  if (absl::IsResourceExhausted(posted)) self->connection_.abort(std::move(posted));
}

// The connection closes in any case. A peer that is not told the end, as there was no memory for
// that, takes it for an error.
void TlsStream::close_in_order() {
  if (std::exchange(is_closed_, true)) return;
  closing_.request_stop();
  if (!is_write_shut_ && !is_cut_ && engine_->error().ok()) {
    try {
      (void)engine_->end();
      (void)send_output();
    } catch (const std::bad_alloc&) {
    }
    is_write_shut_ = true;
  }
  connection_.close();
}

}  // namespace epore::internal
