// What Connection::read() and its like return: how they reach the order of the connection, and come
// back. stream_await_read.cc and stream_await_write.cc have what they do there.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/stream/long_write.h"
#include "epore/runtime/internal/stream/splice_operations.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore::internal {
namespace {

std::atomic<std::uint32_t> last_number{0};

absl::Status awaited_before(const char* name) {
  return absl::FailedPreconditionError(
      absl::StrCat(name, ": it was awaited before; call the method again for another one"));
}

std::uint32_t next_number() {
  const std::uint32_t number = last_number.fetch_add(1, std::memory_order_relaxed) + 1;
  return number != 0 ? number : next_number();
}

}  // namespace

// An operation on its way to the order of a connection. If the connection has ended it does not
// arrive, and completes with an error.
class StreamOperation::Arrival {
 public:
  explicit Arrival(StreamOperation& operation) : operation_(&operation) {}
  Arrival(Arrival&& other) noexcept : operation_(std::exchange(other.operation_, nullptr)) {}
  ~Arrival() {
    if (operation_ != nullptr) operation_->end(operation_->begin_late());
  }

  // There was no memory for the way.
  void give_up() { operation_ = nullptr; }

  void operator()(Stream& stream) {
    StreamOperation& operation = *std::exchange(operation_, nullptr);
    absl::Status status;
    bool is_complete = true;
    try {
      is_complete = operation.begin_in_order(stream, status);
    } catch (const std::bad_alloc&) {
      status = absl::ResourceExhaustedError("no memory");
    }
    if (is_complete) operation.end(std::move(status));
  }

 private:
  StreamOperation* operation_;
};

StreamOperation::StreamOperation(Ref<Stream> stream) : stream_(std::move(stream)) {}
StreamOperation::StreamOperation(StreamOperation&& other) noexcept
    : Operation(std::move(other)), stream_(std::move(other.stream_)) {}
StreamOperation::~StreamOperation() = default;

absl::Status StreamOperation::begin_late() const {
  return absl::FailedPreconditionError("the connection has ended");
}

bool StreamOperation::begin_operation(TaskNode& node) {
  if (const absl::Status* stop = find_stop(node.scope); stop != nullptr) [[unlikely]] {
    node.status = *stop;
    return true;
  }
  if (!stream_) [[unlikely]] {
    node.status =
        absl::FailedPreconditionError(absl::StrCat(name(), ": this handle names no connection"));
    return true;
  }
  try {
    if (stream_->has_turn()) [[likely]] {
      if (begin_in_order(*stream_, node.status)) return true;
      wait(node);
      return false;
    }
    if (is_waiting()) [[unlikely]] {
      node.status = awaited_again();
      return true;
    }
    number() = next_number();
    wait(node);
    Arrival arrival(*this);
    if (stream_->try_mail(std::move(arrival))) return false;
    arrival.give_up();
    end_wait();
    node.scope->chain->leaf = nullptr;
  } catch (const std::bad_alloc&) {  // of begin_in_order()
  }
  node.status = absl::ResourceExhaustedError(absl::StrCat(name(), ": no memory"));
  return true;
}

absl::Status StreamOperation::awaited_again() const { return awaited_before(name()); }

void StreamOperation::end(absl::Status status) { complete(std::move(status)); }

void StreamOperation::cancel(const absl::Status& why) {
  if (number() == 0) {
    if (is_waiting()) stream_->cancel(*this, why);
    return;
  }
  // The operation may complete and be destroyed before the mail is delivered. Its number tells it
  // from a later operation at the same address.
  stream_->mail([this, number = number(), why](Stream& stream) {
    if (stream.is_waiting(*this) && this->number() == number) stream.cancel(*this, why);
  });
}

ReadOperationBase::ReadOperationBase(Ref<Stream> stream, Wanted wanted)
    : StreamOperation(std::move(stream)), wanted_(wanted) {}

ReadOperationBase::~ReadOperationBase() {
  if (wanted_.is_got) stream().give_back(wanted_.bytes, wanted_.kind == Wanted::Kind::into);
}

ByteView ReadOperationBase::take_view() {
  if (std::exchange(wanted_.is_got, false)) stream().taken();
  if (wanted_.is_end) stream().told_end();
  return wanted_.bytes;
}

const char* ReadOperationBase::name() const {
  switch (wanted_.kind) {
    case Wanted::Kind::some:
      return "Connection::read";
    case Wanted::Kind::peek:
      return "Connection::peek";
    case Wanted::Kind::exactly:
      return "Connection::read_exactly";
    case Wanted::Kind::until:
      return "Connection::read_until";
    case Wanted::Kind::into:
      return "Connection::read_some";
    case Wanted::Kind::splice:
      return "splice";
  }
  return "";
}

bool ReadOperationBase::begin_in_order(Stream& stream, absl::Status& status) {
  if (std::exchange(wanted_.has_begun, true)) [[unlikely]] {
    status = awaited_again();
    return true;
  }
  return stream.begin_read(*this, status);
}

void StreamRef::drop() { Ref<Stream>::adopt(take()); }

ReadOperation::ReadOperation(ReadCall&& call)
    : ReadOperationBase(Ref<Stream>::adopt(call.take()), {}) {}

SizedReadOperation::SizedReadOperation(Ref<Stream> stream, Wanted wanted, std::size_t count)
    : ReadOperationBase(std::move(stream), wanted), count_(count) {}

ReadSomeOperation::ReadSomeOperation(Ref<Stream> stream, std::span<std::byte> into)
    : ReadOperationBase(std::move(stream), {.kind = Wanted::Kind::into, .bytes = into}) {}

ClosedOperation::ClosedOperation(Ref<Stream> stream) : StreamOperation(std::move(stream)) {}

ConnectionEnd ClosedOperation::take() { return {stream().end()}; }

bool ClosedOperation::begin_in_order(Stream& stream, absl::Status& status) {
  return stream.begin_closed(*this, status);
}

WriteOperationBase::WriteOperationBase(Ref<Stream> stream, Kind kind)
    : StreamOperation(std::move(stream)), kind_(kind) {}

const char* WriteOperationBase::name() const {
  if (kind_ == Kind::splice) return "splice";
  return kind_ == Kind::flush ? "Connection::flush" : "Connection::write";
}

bool WriteOperationBase::begin_in_order(Stream& stream, absl::Status& status) {
  if (std::exchange(was_awaited_, true) && kind_ != Kind::flush) [[unlikely]] {
    status = awaited_again();
    return true;
  }
  return stream.begin_write(*this, status);
}

bool WriteOperation::begin(TaskNode& node) {
  if (size_ == kBegun) [[unlikely]] {
    node.status = awaited_before("Connection::write");
    return true;
  }
  const ByteView bytes(bytes_, std::exchange(size_, kBegun));
  long_ = nullptr;
  const Ref<Stream> stream = Ref<Stream>::adopt(stream_.take());
  if (stream && find_stop(node.scope) == nullptr && stream->has_turn() &&
      stream->write_at_once(bytes)) [[likely]] {
    return true;
  }
  try {
    long_ = new LongWrite(stream, bytes);
  } catch (const std::bad_alloc&) {
    if (stream) stream->no_memory();  // a later write would come behind a gap
    node.status = absl::ResourceExhaustedError("Connection::write: no memory");
    return true;
  }
  return long_->begin(node);
}

void WriteOperation::drop() { delete long_; }

FlushOperation::FlushOperation(Ref<Stream> stream)
    : WriteOperationBase(std::move(stream), Kind::flush) {}

LongWrite::LongWrite(Ref<Stream> stream, ByteView bytes)
    : WriteOperationBase(std::move(stream), Kind::bytes), rest_(bytes) {}

PiecesWriteBase::PiecesWriteBase(const Ref<Stream>& stream, std::span<const ByteView> pieces)
    : WriteOperationBase(stream, Kind::pieces), pieces_(pieces) {}

std::size_t PiecesWriteBase::left() const {
  std::size_t size = begun_.size();
  for (const ByteView& piece : pieces_) size += piece.size();
  return size;
}

ByteView PiecesWriteBase::next(std::size_t most) {
  if (begun_.empty()) {
    begun_ = pieces_.front();
    pieces_ = pieces_.subspan(1);
  }
  const ByteView piece = begun_.first(std::min(begun_.size(), most));
  begun_ = begun_.subspan(piece.size());
  return piece;
}

SharedWriteOperation::SharedWriteOperation(Ref<Stream> stream, Bytes first,
                                           std::span<const Bytes> more)
    : WriteOperationBase(std::move(stream), Kind::shared), rest_(std::move(first)), more_(more) {}

FileWriteOperation::FileWriteOperation(Ref<Stream> stream, File file, std::uint64_t offset,
                                       std::uint64_t length)
    : WriteOperationBase(std::move(stream), Kind::file),
      file_(std::move(file)),
      offset_(offset),
      left_(length) {}

DescriptorWriteOperation::DescriptorWriteOperation(Ref<Stream> stream, ByteView bytes,
                                                   std::vector<OwnedFd> descriptors)
    : WriteOperationBase(std::move(stream), Kind::descriptors),
      rest_(bytes),
      descriptors_(std::move(descriptors)) {}

DescriptorWriteOperation::DescriptorWriteOperation(Ref<Stream> stream, ByteView bytes,
                                                   OwnedFd descriptor)
    : WriteOperationBase(std::move(stream), Kind::descriptors),
      rest_(bytes),
      only_(std::move(descriptor)) {}

SpliceReadOperation::SpliceReadOperation(Ref<Stream> stream, Splice& splice)
    : ReadOperationBase(std::move(stream), {.kind = Wanted::Kind::splice}), splice_(splice) {}

SpliceWriteOperation::SpliceWriteOperation(Ref<Stream> stream, Splice& splice)
    : WriteOperationBase(std::move(stream), Kind::splice), splice_(splice) {}

}  // namespace epore::internal
