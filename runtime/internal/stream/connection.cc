#include "epore/runtime/connection.h"

#include <initializer_list>
#include <new>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore {

using internal::Callable;
using internal::Wanted;

namespace {

absl::Status bad_timeout(std::string_view call, absl::Duration timeout, std::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat("Connection::", call, ": the timeout (",
                                                 absl::FormatDuration(timeout), ") ", rule));
}

}  // namespace

Connection::Connection() = default;
Connection::Connection(const Connection& other) : Connection(other.stream_) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(const Connection& other) { return *this = Connection(other); }
Connection& Connection::operator=(Connection&& other) noexcept {
  Connection old(std::move(other));
  std::swap(stream_, old.stream_);
  return *this;
}
Connection::~Connection() {
  if (stream_ && stream_->counts_handles()) stream_->drop_handle();
}

Connection::Connection(internal::Ref<internal::Stream> stream) : stream_(std::move(stream)) {
  if (stream_ && stream_->counts_handles()) stream_->add_handle();
}

void Connection::on_data(Callable<DataCallback> callback) {
  if (stream_) stream_->on_data(std::move(callback).take());
}

void Connection::on_read_closed(Callable<Callback> callback) {
  if (stream_) stream_->on_read_closed(std::move(callback).take());
}

void Connection::on_writable(Callable<Callback> callback) {
  if (stream_) stream_->on_writable(std::move(callback).take());
}

void Connection::on_closed(Callable<ClosedCallback> callback) {
  if (stream_) stream_->on_closed(std::move(callback).take());
}

void Connection::on_drain(Callable<Callback> callback) {
  if (stream_) stream_->on_drain(std::move(callback).take());
}

SendResult Connection::send(std::span<const std::byte> bytes) {
  return stream_ ? stream_->send(bytes) : SendResult(SendResult::closed);
}

SendResult Connection::send(std::string_view text) { return send(std::as_bytes(std::span(text))); }

SendResult Connection::send(std::initializer_list<internal::Piece> pieces) {
  return stream_ ? stream_->send(pieces) : SendResult(SendResult::closed);
}

SendResult Connection::send(std::span<const ByteView> pieces) {
  return stream_ ? stream_->send(pieces) : SendResult(SendResult::closed);
}

SendResult Connection::send(const Bytes& bytes) { return send(std::span(&bytes, 1)); }

SendResult Connection::send(std::span<const Bytes> pieces) {
  return stream_ ? stream_->send(pieces) : SendResult(SendResult::closed);
}

SendResult Connection::send(File file, std::uint64_t offset, std::uint64_t length) {
  return stream_ ? stream_->send(std::move(file), offset, length) : SendResult(SendResult::closed);
}

SendResult Connection::send(const ByteView& bytes, std::vector<OwnedFd> descriptors) {
  return stream_ ? stream_->send(bytes, std::move(descriptors)) : SendResult(SendResult::closed);
}

SendResult Connection::send(const ByteView& bytes, OwnedFd descriptor) {
  return stream_ ? stream_->send(bytes, std::move(descriptor)) : SendResult(SendResult::closed);
}

std::vector<OwnedFd> Connection::take_descriptors(std::size_t most) {
  return stream_ ? stream_->take_descriptors(most) : std::vector<OwnedFd>();
}

internal::ReadCall Connection::read() {
  return internal::ReadCall(internal::Ref<internal::Stream>(stream_).release());
}

internal::SizedReadOperation Connection::read_exactly(std::size_t count) {
  return {stream_, {.kind = Wanted::Kind::exactly}, count};
}

internal::SizedReadOperation Connection::read_until(std::string_view delimiter, std::size_t limit) {
  return {stream_, {.kind = Wanted::Kind::until, .bytes = delimiter}, limit};
}

internal::ReadSomeOperation Connection::read_some(std::span<std::byte> buffer) {
  return {stream_, buffer};
}

internal::SizedReadOperation Connection::peek(std::size_t count) {
  return {stream_, {.kind = Wanted::Kind::peek}, count};
}

void Connection::consume(std::size_t count) {
  if (stream_) stream_->consume(count);
}

internal::WriteOperation Connection::write(const ByteView& bytes) {
  return {internal::StreamRef(internal::Ref<internal::Stream>(stream_).release()), bytes};
}

internal::GatherWriteOperation Connection::write(const internal::LastingPieces& pieces) {
  return {stream_, pieces};
}

internal::PiecesWriteOperation Connection::write(std::span<const ByteView> pieces) {
  return {stream_, pieces};
}

internal::SharedWriteOperation Connection::write(Bytes bytes) {
  return {stream_, std::move(bytes), {}};
}

internal::SharedWriteOperation Connection::write(std::span<const Bytes> pieces) {
  return {stream_, Bytes(), pieces};
}

internal::FileWriteOperation Connection::write(File file, std::uint64_t offset,
                                               std::uint64_t length) {
  return {stream_, std::move(file), offset, length};
}

internal::DescriptorWriteOperation Connection::write(const ByteView& bytes,
                                                     std::vector<OwnedFd> descriptors) {
  return {stream_, bytes, std::move(descriptors)};
}

internal::DescriptorWriteOperation Connection::write(const ByteView& bytes, OwnedFd descriptor) {
  return {stream_, bytes, std::move(descriptor)};
}

internal::FlushOperation Connection::flush() { return internal::FlushOperation(stream_); }

internal::ClosedOperation Connection::closed() { return internal::ClosedOperation(stream_); }

void Connection::pause_reading() {
  if (stream_) stream_->pause_reading();
}

void Connection::resume_reading() {
  if (stream_) stream_->resume_reading();
}

void Connection::shut_down_write() {
  if (stream_) stream_->shut_down_write();
}

void Connection::close() { close(absl::OkStatus()); }

void Connection::close(absl::Status reason) {
  if (stream_) stream_->close(std::move(reason));
}

void Connection::abort() {
  if (stream_) stream_->abort();
}

void Connection::abort(absl::Status reason) {
  if (stream_) stream_->abort(std::move(reason));
}

absl::Status Connection::set_idle_timeout(absl::Duration timeout) {
  if (timeout <= absl::ZeroDuration()) {
    return bad_timeout("set_idle_timeout", timeout, "must be more than zero");
  }
  if (stream_) stream_->set_timeout(&internal::StreamTimeouts::idle, timeout);
  return absl::OkStatus();
}

absl::Status Connection::set_write_stall_timeout(absl::Duration timeout) {
  if (timeout <= absl::ZeroDuration()) {
    return bad_timeout("set_write_stall_timeout", timeout, "must be more than zero");
  }
  if (stream_) stream_->set_timeout(&internal::StreamTimeouts::write_stall, timeout);
  return absl::OkStatus();
}

absl::Status Connection::set_linger_timeout(absl::Duration timeout) {
  if (timeout < absl::ZeroDuration()) {
    return bad_timeout("set_linger_timeout", timeout, "must not be negative");
  }
  if (stream_) stream_->set_timeout(&internal::StreamTimeouts::linger, timeout);
  return absl::OkStatus();
}

absl::Status Connection::post(Callable<Callback> closure) {
  try {
    if (!stream_) {
      return absl::FailedPreconditionError("Connection::post: this handle names no connection");
    }
    if (!closure) return absl::InvalidArgumentError("Connection::post: the closure is null");
    return stream_->post(std::move(closure).take());
  } catch (const std::bad_alloc&) {
    return absl::Status(absl::StatusCode::kResourceExhausted, "");  // allocates nothing
  }
}

Timer Connection::timer(Callable<Callback> callback) {
  if (!stream_) return Timer();
  if (!callback) {
    internal::tell([] {
      LOG(ERROR) << "epore: Connection::timer: the callback is null; the timer does nothing";
    });
    return Timer();
  }
  return Timer(stream_->timer(std::move(callback).take()));
}

bool Connection::is_open() const { return stream_ && stream_->is_open(); }

std::size_t Connection::queued_bytes() const { return stream_ ? stream_->queued_bytes() : 0; }

std::uint64_t Connection::id() const { return stream_ ? stream_->id() : 0; }

SocketAddress Connection::local_address() const {
  return stream_ ? stream_->local_address() : SocketAddress();
}

int Connection::fd() const { return stream_ ? stream_->fd() : -1; }

absl::StatusOr<PeerCredentials> Connection::peer_credentials() const {
  if (stream_) return stream_->peer_credentials();
  return absl::FailedPreconditionError(
      "Connection::peer_credentials: this handle names no connection");
}

SocketAddress Connection::peer_address() const {
  return stream_ ? stream_->peer_address() : SocketAddress();
}

}  // namespace epore
