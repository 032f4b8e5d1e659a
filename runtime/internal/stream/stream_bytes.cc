// How a Stream sends shared bytes: it holds them until the system has them, and copies nothing.

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "epore/runtime/bytes.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"

namespace epore::internal {
namespace {

// Fewer bytes are copied, because a place in the queue for a reference takes more.
constexpr std::size_t kWorthSharing = 256;

std::size_t size_of(std::span<const Bytes> pieces) {
  std::size_t size = 0;
  for (const Bytes& piece : pieces) size += piece.size();
  return size;
}

}  // namespace

// Shared bytes that another thread has sent in one call. They count as queued from send() on.
class Stream::SharedMail final : public Mail {
 public:
  SharedMail(Stream& stream, std::span<const Bytes> pieces, std::size_t size)
      : stream_(&stream), pieces_(pieces.begin(), pieces.end()), size_(size) {}
  ~SharedMail() override {
    if (stream_ != nullptr) stream_->uncount(size_);
  }
  void deliver() override {
    if (stream_->is_ending() || stream_->write_shut_) return;
    Stream& stream = *std::exchange(stream_, nullptr);
    stream.note_counted(stream.counted_ + size_);
    const std::size_t before = stream.gathered();
    stream.put_sent(pieces_);
    stream.recount_gathered(before, size_);
  }

 private:
  Stream* stream_;  // null once delivered
  const absl::InlinedVector<Bytes, 1> pieces_;
  const std::size_t size_;
};

SendResult Stream::send(std::span<const Bytes> pieces) {
  if (!can_send_.load(std::memory_order_acquire)) return SendResult::closed;
  const std::size_t size = size_of(pieces);
  try {
    const bool is_here = is_in_order() && (has_tasks_ ? has_turn() : is_runner());  // as for a copy
    return is_here ? send_shared_here(pieces, size) : send_shared_from_elsewhere(pieces, size);
  } catch (const std::bad_alloc&) {
    no_memory();  // as for a copy
    return SendResult::no_memory;
  }
}

SendResult Stream::send_shared_here(std::span<const Bytes> pieces, std::size_t size) {
  if (phase_ != Phase::open) return SendResult::closed;
  const std::size_t queued = queued_here() + size;
  if (queued > limits_->write_cap) return over_cap(queued);
  put_sent(pieces);
  return mark_here();
}

SendResult Stream::send_shared_from_elsewhere(std::span<const Bytes> pieces, std::size_t size) {
  static_assert(sizeof(SharedMail) <= FrameCache::kCacheLine, "a send would take two lines");
  return leave_sent(std::make_unique<SharedMail>(*this, pieces, size), size);
}

// The pieces of send(). They wait where they would come amid a write() of a coroutine.
void Stream::put_sent(std::span<const Bytes> pieces) {
  if (!is_amid_write()) return put_shared(pieces);
  for (const Bytes& piece : pieces) {
    if (piece.size() < kWorthSharing) {
      tasks()->sent.append(ByteView(piece));
    } else {
      tasks()->sent.append(piece);
    }
  }
  recount();
}

// Into the queue, and to the system at the end of the run with what is sent until then; much of it
// at once. All pieces are in the queue before the first call, so that one call takes them.
void Stream::put_shared(std::span<const Bytes> pieces) {
  bool is_much = false;
  for (const Bytes& piece : pieces) {
    share(piece);
    is_much = is_much || piece.size() >= kLarge;
  }
  recount();
  if ((is_much || queue_.size() >= kGathered) && !is_write_blocked_) flush();
}

void Stream::share(const Bytes& bytes) {
  const bool is_queued = is_write_blocked_ || !queue_.empty();
  if (bytes.size() < kWorthSharing) return is_queued ? enqueue(bytes) : put(bytes);
  if (!is_queued) {
    Output& output = this->output();
    enqueue(output.bytes());
    output.clear();
  }
  if (queue_.empty()) moved_ |= kQueued;
  queue_.append(bytes);
}

}  // namespace epore::internal
