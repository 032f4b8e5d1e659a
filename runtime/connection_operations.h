#ifndef EPORE_RUNTIME_CONNECTION_OPERATIONS_H_
#define EPORE_RUNTIME_CONNECTION_OPERATIONS_H_

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/byte_view.h"
#include "epore/runtime/bytes.h"
#include "epore/runtime/file.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"

namespace epore {

// How a connection has ended. See Connection::closed().
struct ConnectionEnd {
  absl::Status reason;  // the one that on_closed gets: ok after a graceful close by either side
};

}  // namespace epore

// What Connection::read() and its like return. A program only awaits them.
namespace epore::internal {

class Stream;

// What a ByteView takes, but for a plain pointer: that does not say how long its text is, and
// {begin, end} would be two texts.
template <typename T>
concept Viewable = std::convertible_to<T, ByteView> && !std::is_pointer_v<std::remove_cvref_t<T>> &&
                   !std::is_null_pointer_v<std::remove_cvref_t<T>>;

// Whether its bytes live on without it: it is a variable, or a temporary that owns nothing.
template <typename T>
concept Lasting = std::is_lvalue_reference_v<T> || std::derived_from<T, ByteView> ||
    std::ranges::enable_borrowed_range<std::remove_cv_t<T>>;

// What stands in the braces of Connection::send({head, body}).
struct Piece {
  template <Viewable T>
  Piece(T&& bytes) : view(bytes) {}

  template <typename T>
  requires(std::convertible_to<T, ByteView> && !Viewable<T>) Piece(T&& pointer)
  = delete;

  ByteView view;
};

// The braces of Connection::write({head, body}), whose bytes must live until they are written. So a
// temporary string does not compile: keep it in a variable. (It is no array, nor an
// initializer_list, as gcc 12 has no place for one in the frame of a coroutine.)
class LastingPieces {
 public:
  static constexpr std::size_t kMost = 8;

  template <typename... Ts>
  requires(sizeof...(Ts) > 1 && sizeof...(Ts) <= kMost && (Viewable<Ts> && ...) &&
           (Lasting<Ts> && ...)) LastingPieces(Ts&&... pieces)
      : views_{ByteView(pieces)...}, size_(sizeof...(Ts)) {}

  template <typename... Ts>
  requires(sizeof...(Ts) > 1 && (std::convertible_to<Ts, ByteView> && ...) &&
           !((Viewable<Ts> && ...) && (Lasting<Ts> && ...)))
      LastingPieces(Ts&&... with_a_pointer_or_a_temporary)
  = delete;

  std::span<const ByteView> views() const { return std::span(views_).first(size_); }

 private:
  std::array<ByteView, kMost> views_;
  std::size_t size_;
};

// An operation of a coroutine on a connection. It runs in the connection's order. For a task of
// another order it goes there by mail, and comes back by TaskHome::post().
class StreamOperation : public Operation {
 protected:
  explicit StreamOperation(Ref<Stream> stream);
  StreamOperation(StreamOperation&& other) noexcept;  // of one that has not begun
  ~StreamOperation();

  // Begins in the order of the stream. True: it has completed, with `status`.
  virtual bool begin_in_order(Stream& stream, absl::Status& status) = 0;

  // What it completes with if it comes by mail, and the stream has ended.
  virtual absl::Status begin_late() const;

  // What was asked for is gone after the first time.
  absl::Status awaited_again() const;

  bool begin_operation(TaskNode& node);
  Stream& stream() const { return *stream_; }

 private:
  friend class Stream;
  class Arrival;

  // Of an operation that has come by mail; otherwise 0. It comes again after 2^32 of them only. A
  // derived class has it where there is room, because it is in the frames of all connections.
  virtual std::uint32_t& number() = 0;

  void cancel(const absl::Status& why) override;

  // The order of the stream: completes the coroutine, in whichever order it is.
  void end(absl::Status status);

  Ref<Stream> stream_;
};

// The bytes that a reader asks for, and then those that it has got. It is in the frame of every
// connection that waits, so it is small.
struct Wanted {
  enum class Kind : std::uint8_t { some, peek, exactly, until, into, splice };

  Kind kind = Kind::some;
  bool is_got = false;       // they are there, and nobody has taken them
  bool has_begun = false;    // so that it is awaited once
  bool is_end = false;       // there is nothing, as the peer has ended
  std::uint32_t number = 0;  // see StreamOperation

  // Before the completion: of until the delimiter, of into the memory, which is not constant. After
  // it: what was got.
  ByteView bytes = {};

  std::string_view delimiter() const { return bytes.text(); }
  std::span<std::byte> into() const { return {const_cast<std::byte*>(bytes.data()), bytes.size()}; }
};

class ReadOperationBase : public StreamOperation {
 protected:
  ReadOperationBase(Ref<Stream> stream, Wanted wanted);
  ReadOperationBase(ReadOperationBase&&) noexcept = default;
  ~ReadOperationBase();  // gives bytes back that nobody has taken

  ByteView take_view();

 private:
  friend class Stream;

  bool begin_in_order(Stream& stream, absl::Status& status) override;
  std::uint32_t& number() override { return wanted_.number; }
  const char* name() const override;

  Wanted wanted_;
};

// A reference as a Ref, whose destructor needs to know what a Stream is. Mostly it is taken before.
class StreamRef {
 public:
  explicit StreamRef(Stream* stream) : stream_(stream) {}  // takes over a reference, or is null
  StreamRef(StreamRef&& other) noexcept : stream_(other.take()) {}
  StreamRef& operator=(StreamRef&&) = delete;
  ~StreamRef() {
    if (stream_ != nullptr) [[unlikely]]
      drop();
  }

  Stream* take() { return std::exchange(stream_, nullptr); }

 private:
  void drop();

  Stream* stream_;
};

class ReadOperation;

// What Connection::read() returns: the connection. The operation is made of it where that stays, so
// the frame of a connection that waits in within(limit, peer.read()) has room for one only.
class [[nodiscard]] ReadCall : public StreamRef, public WithResult<ReadCall> {
 public:
  using Made = ReadOperation;

  using StreamRef::StreamRef;
};

class [[nodiscard]] ReadOperation final : public ReadOperationBase,
                                          public WithResult<ReadOperation> {
 public:
  using Value = ByteView;

  explicit ReadOperation(ReadCall&& call);
  ReadOperation(ReadOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  ByteView take() { return take_view(); }
};

// What read_exactly(), read_until() and peek() return.
class [[nodiscard]] SizedReadOperation final : public ReadOperationBase,
                                               public WithResult<SizedReadOperation> {
 public:
  using Value = ByteView;

  SizedReadOperation(Ref<Stream> stream, Wanted wanted, std::size_t count);
  SizedReadOperation(SizedReadOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  ByteView take() { return take_view(); }

 private:
  friend class Stream;

  std::size_t count_;  // exactly and peek: at least; until: the limit
};

class [[nodiscard]] ReadSomeOperation final : public ReadOperationBase,
                                              public WithResult<ReadSomeOperation> {
 public:
  using Value = std::size_t;

  ReadSomeOperation(Ref<Stream> stream, std::span<std::byte> into);
  ReadSomeOperation(ReadSomeOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  std::size_t take() { return take_view().size(); }
};

class WriteOperationBase : public StreamOperation {
 protected:
  enum class Kind : std::uint8_t { bytes, pieces, shared, file, splice, descriptors, flush };

  WriteOperationBase(Ref<Stream> stream, Kind kind);
  WriteOperationBase(WriteOperationBase&&) noexcept = default;
  ~WriteOperationBase() = default;

 private:
  friend class Stream;

  bool begin_in_order(Stream& stream, absl::Status& status) override;
  std::uint32_t& number() override { return number_; }
  const char* name() const override;

  WriteOperationBase* next_ = nullptr;  // in the list of the stream
  std::uint32_t number_ = 0;
  const Kind kind_;
  bool has_begun_ = false;  // a part of it was given to the stream
  bool was_awaited_ = false;
};

class LongWrite;

// What Connection::write() of bytes returns. Nearly every write is done at once, and the frame of a
// connection that waits for bytes has room for one. So it is small: where it must wait, it makes a
// LongWrite.
class [[nodiscard]] WriteOperation final : public WithResult<WriteOperation> {
 public:
  using Value = void;

  WriteOperation(StreamRef stream, const ByteView& bytes)
      : stream_(std::move(stream)), bytes_(bytes.data()), size_(bytes.size()) {}
  WriteOperation(WriteOperation&& other) noexcept  // of one that has not begun
      : stream_(std::move(other.stream_)), bytes_(other.bytes_), size_(other.size_) {}
  ~WriteOperation() {
    if (size_ == kBegun && long_ != nullptr) [[unlikely]]
      drop();
  }

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  void take() {}

 private:
  static constexpr std::size_t kBegun = ~std::size_t{0};

  void drop();

  StreamRef stream_;  // until it begins
  union {
    const std::byte* bytes_;
    LongWrite* long_;  // or null; if size_ is kBegun
  };
  std::size_t size_;
};

// Waits until everything is written.
class [[nodiscard]] FlushOperation final : public WriteOperationBase,
                                           public WithResult<FlushOperation> {
 public:
  using Value = void;

  explicit FlushOperation(Ref<Stream> stream);
  FlushOperation(FlushOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  void take() {}
};

class PiecesWriteBase : public WriteOperationBase {
 protected:
  PiecesWriteBase(const Ref<Stream>& stream, std::span<const ByteView> pieces);
  PiecesWriteBase(PiecesWriteBase&&) noexcept = default;
  ~PiecesWriteBase() = default;

  std::span<const ByteView> pieces_;  // those that were not given to the stream yet

 private:
  friend class Stream;

  std::size_t left() const;  // bytes that were not given

  // Takes a piece, or the first `most` bytes of it.
  ByteView next(std::size_t most);

  ByteView begun_;  // the rest of a piece that was given in part; it goes before pieces_
};

class [[nodiscard]] PiecesWriteOperation final : public PiecesWriteBase,
                                                 public WithResult<PiecesWriteOperation> {
 public:
  using Value = void;

  // Writes `pieces`, which must live until then.
  PiecesWriteOperation(const Ref<Stream>& stream, std::span<const ByteView> pieces)
      : PiecesWriteBase(stream, pieces) {}
  PiecesWriteOperation(PiecesWriteOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  void take() {}
};

// As above, with the views in itself: the braces do not outlive the call.
class [[nodiscard]] GatherWriteOperation final : public PiecesWriteBase,
                                                 public WithResult<GatherWriteOperation> {
 public:
  using Value = void;

  GatherWriteOperation(const Ref<Stream>& stream, const LastingPieces& pieces)
      : PiecesWriteBase(stream, {}), braces_(pieces) {}
  GatherWriteOperation(GatherWriteOperation&&) noexcept = default;

  bool begin(TaskNode& node) {
    pieces_ = braces_.views();  // it does not move any more
    return begin_operation(node);
  }
  void finish(TaskNode&) {}
  void take() {}

 private:
  LastingPieces braces_;
};

class [[nodiscard]] SharedWriteOperation final : public WriteOperationBase,
                                                 public WithResult<SharedWriteOperation> {
 public:
  using Value = void;

  // Writes `first` and then `more`, which must live until then.
  SharedWriteOperation(Ref<Stream> stream, Bytes first, std::span<const Bytes> more);
  SharedWriteOperation(SharedWriteOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  void take() {}

 private:
  friend class Stream;

  Bytes rest_;
  std::span<const Bytes> more_;
};

class [[nodiscard]] FileWriteOperation final : public WriteOperationBase,
                                               public WithResult<FileWriteOperation> {
 public:
  using Value = void;

  FileWriteOperation(Ref<Stream> stream, File file, std::uint64_t offset, std::uint64_t length);
  FileWriteOperation(FileWriteOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  void take() {}

 private:
  friend class Stream;

  File file_;
  std::uint64_t offset_;  // of what was not given to the stream yet
  std::uint64_t left_;
};

class [[nodiscard]] DescriptorWriteOperation final : public WriteOperationBase,
                                                     public WithResult<DescriptorWriteOperation> {
 public:
  using Value = void;

  DescriptorWriteOperation(Ref<Stream> stream, ByteView bytes, std::vector<OwnedFd> descriptors);
  DescriptorWriteOperation(Ref<Stream> stream, ByteView bytes, OwnedFd descriptor);
  DescriptorWriteOperation(DescriptorWriteOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  void take() {}

 private:
  friend class Stream;

  ByteView rest_;
  std::optional<OwnedFd> only_;       // until it begins, which may say that there is no memory
  std::vector<OwnedFd> descriptors_;  // empty once they were given to the stream
};

class [[nodiscard]] ClosedOperation final : public StreamOperation,
                                            public WithResult<ClosedOperation> {
 public:
  using Value = ConnectionEnd;

  explicit ClosedOperation(Ref<Stream> stream);
  ClosedOperation(ClosedOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  ConnectionEnd take();

 private:
  friend class Stream;

  bool begin_in_order(Stream& stream, absl::Status& status) override;
  absl::Status begin_late() const override { return absl::OkStatus(); }
  std::uint32_t& number() override { return number_; }
  const char* name() const override { return "Connection::closed"; }

  ClosedOperation* next_ = nullptr;  // in the list of the stream
  std::uint32_t number_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_CONNECTION_OPERATIONS_H_
