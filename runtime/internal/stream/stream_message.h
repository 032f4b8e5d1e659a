#ifndef EPORE_RUNTIME_INTERNAL_STREAM_STREAM_MESSAGE_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_STREAM_MESSAGE_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/stream/stream_mail.h"

namespace epore::internal {

// What every message passes through, inline in the files of Stream. What is rare is a call.

inline bool Stream::wants_read() const {
  if (read_closed_) return false;
  if (phase_ != Phase::open) [[unlikely]]
    return !is_ending();
  if (is_read_by_task_) [[unlikely]]
    return reader() != nullptr && (!is_held_ || is_draining_);
  return on_data_ && !is_paused_ && !is_held_;
}

inline void Stream::go_on(bool is_timed) {
  if (is_timed) arm_timeouts();
  // Reading has used up its budget, or was resumed after this run had read.
  if (edges_.is_ready(Direction::read) && wants_read()) (void)word().wake();
}

// The runner only: as queued_bytes().
inline std::size_t Stream::queued_here() const {
  const Output& output = this_thread.buffers->output;
  const std::size_t more = output.owner == this ? output.size() - output.counted : 0;
  return queued_.load(std::memory_order_acquire) + more;
}

// Returns the output of this thread, for bytes of this connection.
inline Output& Stream::output() {
  Output& output = this_thread.buffers->output;
  if (output.owner != this) {
    if (!output.empty()) [[unlikely]]
      output.owner->flush_output();
    output.owner = this;
  }
  if (output.empty() && !is_runner()) [[unlikely]]
    core_->wake(*this);  // a run writes it
  return output;
}

inline void Stream::put(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const bool is_queued = is_write_blocked_ || !queue_.empty();
  if (is_queued || bytes.size() >= kLarge) [[unlikely]]
    return put_elsewhere(bytes);
  Output& output = this->output();
  output.append(bytes);
  if (output.is_full()) [[unlikely]]
    flush_now();
}

// Takes the result of a call that began at `mark`. Returns how many bytes the system took.
inline std::size_t Stream::written(SysResult result, std::uint32_t mark) {
  if (!result.ok()) [[unlikely]] {
    write_failed(result.error(), mark);
    return 0;
  }
  const std::size_t count = static_cast<std::size_t>(result.value());
  core_->counters().add(Counter::bytes_out, count);
  moved_ |= kSent;
  return count;
}

inline std::size_t Stream::write_one(std::span<const std::byte> bytes, int flags) {
  const std::uint32_t mark = edges_.mark(Direction::write);
  return written(core_->kernel().send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | flags),
                 mark);
}

// Writes the output. Mostly it is little, and one call takes it all.
inline void Stream::flush() {
  if (queue_.empty()) [[likely]] {
    Output& output = this_thread.buffers->output;
    if (output.owner != this || output.empty()) [[unlikely]]
      return;
    const bool is_counted = output.counted != 0;
    if (!is_write_blocked_ && !is_ending()) [[likely]]
      output.drop(write_one(output.bytes()));
    if (output.empty()) [[likely]] {
      if (is_counted) [[unlikely]]
        recount();
      return;
    }
  }
  write_out({});
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_STREAM_MESSAGE_H_
