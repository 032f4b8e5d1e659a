// How a Stream sends several views of bytes as one.

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <new>
#include <span>

#include "absl/container/inlined_vector.h"
#include "epore/runtime/byte_view.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"
#include "epore/runtime/internal/stream/stream_message.h"

namespace epore::internal {
namespace {

// The most pieces of one system call, those that were gathered before included.
constexpr std::size_t kVectors = 64;

std::size_t size_of(std::span<const ByteView> pieces) {
  std::size_t size = 0;
  for (const ByteView& piece : pieces) size += piece.size();
  return size;
}

}  // namespace

SendResult Stream::send(std::initializer_list<Piece> pieces) {
  try {
    absl::InlinedVector<ByteView, 16> views;
    views.reserve(pieces.size());
    for (const Piece& piece : pieces) views.push_back(piece.view);
    return send(views);
  } catch (const std::bad_alloc&) {
    no_memory();
    return SendResult::no_memory;
  }
}

SendResult Stream::send(std::span<const ByteView> pieces) {
  if (!can_send_.load(std::memory_order_acquire)) return SendResult::closed;
  const std::size_t size = size_of(pieces);
  try {
    const bool is_here = is_in_order() && (has_tasks_ ? has_turn() : is_runner());  // as for one
    return is_here ? send_pieces_here(pieces, size) : send_from_elsewhere(pieces, size);
  } catch (const std::bad_alloc&) {
    no_memory();  // as for one
    return SendResult::no_memory;
  }
}

SendResult Stream::send_pieces_here(std::span<const ByteView> pieces, std::size_t size) {
  if (phase_ != Phase::open) return SendResult::closed;
  const std::size_t queued = queued_here() + size;
  if (queued > limits_->write_cap) return over_cap(queued);
  put_sent(pieces, size);
  if (queued <= limits_->write_high_mark && queue_.empty()) return SendResult::queued;
  return mark_here();
}

// The pieces of send(). They wait where they would come amid a write() of a coroutine.
void Stream::put_sent(std::span<const ByteView> pieces, std::size_t size) {
  if (!is_amid_write()) return put_pieces(pieces, size);
  for (const ByteView& piece : pieces) tasks()->sent.append(piece);
  recount();
}

// Few bytes are gathered with what else this run sends. Many leave at once, if nothing is before
// them.
void Stream::put_pieces(std::span<const ByteView> pieces, std::size_t size) {
  if (size >= kLarge && !is_write_blocked_ && queue_.empty()) return write_pieces(pieces);
  for (const ByteView& piece : pieces) {
    put(piece);
    if (is_ending()) return;  // whose pieces these are may be gone: see push()
  }
}

// Writes the output and the pieces from where they lie, and queues what the system does not take.
void Stream::write_pieces(std::span<const ByteView> pieces) {
  Output& output = this->output();
  std::size_t begun = 0;  // how much of the first piece is written
  std::size_t budget = kWriteBudget;
  while (!is_ending() && !is_write_blocked_ && !(output.empty() && pieces.empty())) {
    if (budget == 0) {
      (void)word().wake();
      break;
    }
    const std::uint32_t mark = edges_.mark(Direction::write);
    const std::size_t count = written(send_gathered(output.bytes(), pieces, begun), mark);
    if (is_ending()) break;
    budget -= std::min(budget, count);
    const std::size_t of_output = std::min(count, output.size());
    output.drop(of_output);
    begun += count - of_output;
    while (!pieces.empty() && begun >= pieces.front().size()) {
      begun -= pieces.front().size();
      pieces = pieces.subspan(1);
    }
  }
  if (!is_ending()) {
    enqueue(output.bytes());
    for (const ByteView& piece : pieces) {
      enqueue(piece.subspan(begun));
      begun = 0;
    }
  }
  output.clear();
  recount();
}

// Makes one call for `first` and the pieces, of whose first one `begun` bytes are written.
SysResult Stream::send_gathered(std::span<const std::byte> first, std::span<const ByteView> pieces,
                                std::size_t begun) {
  std::array<iovec, kVectors> vectors;
  std::size_t count = 0;
  const auto add = [&](std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    vectors[count++] = iovec{const_cast<std::byte*>(bytes.data()), bytes.size()};
  };
  add(first);
  for (std::size_t i = 0; i < pieces.size() && count < kVectors; ++i) {
    add(pieces[i].subspan(i == 0 ? begun : 0));
  }
  return send_vectors(std::span(vectors).first(count), 0);
}

}  // namespace epore::internal
