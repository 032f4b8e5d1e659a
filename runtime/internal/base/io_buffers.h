#ifndef EPORE_RUNTIME_INTERNAL_BASE_IO_BUFFERS_H_
#define EPORE_RUNTIME_INTERNAL_BASE_IO_BUFFERS_H_

#include <array>
#include <cstddef>
#include <cstring>
#include <span>

namespace epore::internal {

// What one callback sends is gathered up to kGathered, so that it leaves in one call; a piece from
// kLarge on is written from where it lies, because copying it would cost more than a call.
inline constexpr std::size_t kGathered = 64 * 1024;
inline constexpr std::size_t kLarge = 16 * 1024;

// What the run that is under way has sent and the system has not seen yet.
class Output {
 public:
  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  std::span<const std::byte> bytes() const { return {bytes_.data() + begin_, size()}; }
  bool is_full() const { return end_ >= kGathered; }

  // Requires !is_full() and a piece of less than kLarge.
  void append(std::span<const std::byte> piece) {
    std::memcpy(bytes_.data() + end_, piece.data(), piece.size());
    end_ += piece.size();
  }

  void drop(std::size_t count) {
    begin_ += count;
    if (empty()) clear();
  }
  void clear() { begin_ = end_ = 0; }

 private:
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::array<std::byte, kGathered + kLarge> bytes_;  // pages that nobody writes cost nothing
};

// What a thread that runs callbacks has for all of them: connections read into it and gather what
// they send in it, so that an idle connection holds no buffer.
struct IoBuffers {
  Output output;
  // What is read at once is sent while it is in the cache, and before the peer's window has run
  // out: with 64 KiB, 64 KiB messages one behind the other cost three times as much on loopback.
  std::array<std::byte, 32 * 1024> read;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_IO_BUFFERS_H_
