#ifndef EPORE_RUNTIME_CHANNEL_H_
#define EPORE_RUNTIME_CHANNEL_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/internal/base/exceptions.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/channel_core.h"

namespace epore {
namespace internal {

template <typename T>
struct ChannelItemOf final : ChannelItem, InFrameCache {
  static_assert(alignof(T) <= FrameCache::kCacheLine);

  explicit ChannelItemOf(T&& sent) : value(std::move(sent)) {}

  T value;
};

template <typename T>
class ChannelState final : public ChannelCore {
 public:
  using ChannelCore::ChannelCore;

 private:
  ~ChannelState() override {
    while (ChannelItem* const item = drop_first()) delete static_cast<ChannelItemOf<T>*>(item);
  }
};

template <typename T>
T take_value(ChannelItem* item) {
  const std::unique_ptr<ChannelItemOf<T>> own(static_cast<ChannelItemOf<T>*>(item));
  return std::move(own->value);
}

template <typename T>
class SendOperation final : public SendWait, public WithResult<SendOperation<T>> {
 public:
  using Value = void;

  SendOperation(Ref<ChannelCore> core, T&& value)
      : SendWait(std::move(core)), item_(new ChannelItemOf<T>(std::move(value))) {}
  SendOperation(SendOperation&&) = default;

  void take() { put(item_.release()); }

  // After an error: the value, which was not sent.
  T& value() { return item_->value; }

 private:
  std::unique_ptr<ChannelItemOf<T>> item_;
};

template <typename T>
class ReceiveOperation final : public ReceiveWait, public WithResult<ReceiveOperation<T>> {
 public:
  using Value = T;

  explicit ReceiveOperation(Ref<ChannelCore> core)
      : ReceiveWait(std::move(core), /*end_is_error=*/true) {}
  ReceiveOperation(ReceiveOperation&&) = default;

  T take() { return take_value<T>(take_item()); }
};

template <typename T>
class NextOperation final : public ReceiveWait, public WithResult<NextOperation<T>> {
 public:
  using Value = std::optional<T>;

  explicit NextOperation(Ref<ChannelCore> core)
      : ReceiveWait(std::move(core), /*end_is_error=*/false) {}
  NextOperation(NextOperation&&) = default;

  std::optional<T> take() {
    if (!has_promise()) return std::nullopt;
    return take_value<T>(take_item());
  }
};

}  // namespace internal

// A Channel is a bounded queue between tasks: many may send, and many may receive.
//
//   epore::Task<> produce(epore::Channel<Line> lines) {
//     for (...) co_await lines.send(std::move(line));  // waits while the channel is full
//     lines.close();
//   }
//   epore::Task<> consume(epore::Channel<Line> lines) {
//     while (std::optional<Line> line = co_await lines.next()) print(*line);
//   }
//
//   epore::Channel<Line> lines(64);
//   co_await epore::all(produce(lines), consume(lines));
//
// With capacity 0 there is no queue: a send() goes on when a receiver waits for its value.
//
// Threads: tasks of any orders and runtimes may wait. Callbacks and any thread may call the other
// methods. What happened before the value was sent is visible to who receives it.
//
// Ownership, lifetime: a Channel is a handle. Copies name the same channel, which lives as long as
// a handle or a task that waits for it. Values that nobody has received go with it. A handle that
// was moved from names no channel: it is closed and empty, and what a task awaits of it ends with
// FailedPrecondition.
//
// Edges, guaranteed:
//
// 1. Values come out in the sequence in which they went in, and each one once.
// 2. Those who wait get their turn in the sequence in which they came.
// 3. No value is lost: a receive() that is stopped, or that any() has no use for, leaves it to the
//    next one. A send() has sent its value if it ends with ok, and only then.
// 4. Nobody is resumed inside a call. Values are moved and destroyed without a lock.
//
// A value takes memory of its own from a cache, so a channel in use allocates nothing anew. T can
// be moved, and is aligned to at most 64 bytes.
template <typename T>
class Channel {
  static_assert(!internal::kIsView<T>,
                "a view may end before it is received: send a std::string or epore::Bytes");

 public:
  // Makes a channel for at most `capacity` values. Throws std::bad_alloc.
  explicit Channel(std::size_t capacity)
      : state_(internal::Ref<State>::adopt(new State(capacity))) {}

  // Sends a value, and waits while there is no room. Errors, after which it is not sent:
  // FailedPrecondition if the channel is closed; those of a stop. To keep the value then, give the
  // operation a name:
  //
  //   auto send = channel.send(std::move(job));
  //   if (!(co_await send.result()).ok()) retry(std::move(send.value()));
  [[nodiscard]] internal::SendOperation<T> send(T value) {
    return internal::SendOperation<T>(core(), std::move(value));
  }

  // Waits for a value. Errors: OutOfRange if the channel is closed and empty; those of a stop.
  [[nodiscard]] internal::ReceiveOperation<T> receive() {
    return internal::ReceiveOperation<T>(core());
  }

  // As receive(), for a loop: no value at the end, which is no error.
  [[nodiscard]] internal::NextOperation<T> next() { return internal::NextOperation<T>(core()); }

  // Sends a value if there is room and nobody else waits for it. Returns false, and leaves `value`
  // alone, if there is none or the channel is closed. Throws std::bad_alloc.
  bool try_send(T&& value) {
    if (!state_ || state_->try_reserve() != internal::ChannelCore::Try::done) return false;
    internal::ChannelItemOf<T>* item = nullptr;
    internal::call_or_undo([&] { item = new internal::ChannelItemOf<T>(std::move(value)); },
                           [this] { state_->give_place_back(); });
    state_->put(item);
    return true;
  }
  bool try_send(const T& value) { return try_send(T(value)); }

  // The first value if there is one that is promised to nobody, or none. With capacity 0 there is
  // none: a sender waits for a receive().
  std::optional<T> try_receive() {
    if (!state_ || state_->try_promise() != internal::ChannelCore::Try::done) return std::nullopt;
    return internal::take_value<T>(state_->take());
  }

  // Lets nobody send any more. What is in the channel can still be received. Those that wait to
  // send get FailedPrecondition, and those that wait to receive get the end. A second call does
  // nothing.
  void close() {
    if (state_) state_->close();
  }

  bool is_closed() const { return !state_ || state_->is_closed(); }

  // The values that are in the channel and promised to nobody.
  std::size_t size() const { return state_ ? state_->size() : 0; }

  std::size_t capacity() const { return state_ ? state_->capacity() : 0; }

  // Whether both name the same channel.
  friend bool operator==(const Channel& a, const Channel& b) {
    return a.state_.get() == b.state_.get();
  }

 private:
  using State = internal::ChannelState<T>;

  internal::Ref<internal::ChannelCore> core() const { return internal::Ref<State>(state_); }

  internal::Ref<State> state_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_CHANNEL_H_
