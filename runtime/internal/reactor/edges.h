#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_EDGES_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_EDGES_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "epore/poll/readiness.h"

namespace epore::internal {

// What exists for reading and for writing is an array indexed by this.
enum class Direction : std::uint8_t { read, write };

// The edges that the poll thread has seen of a registration, and those that its runner has used up.
// An edge-triggered queue tells a change once, so it must not be forgotten, also not by a runner
// that clears "ready" after an EAGAIN while the poll thread just sets it again:
//
//   runner                                   poll thread
//   recv -> EAGAIN
//                                            new bytes: ready = true
//   ready = false                            (the edge is lost, the bytes stay for ever)
//
// So each direction has a counter of edges (written by the poll thread alone) and the runner's note
// of the count it has used up: ready means that they differ. The runner takes a mark() *before* the
// system call, and a call that says EAGAIN uses up just the edges before that mark.
//
//   runner: m = mark(); recv -> EAGAIN; use_up(m)        poll thread: ++count at any time between
//
// Orders: the poll thread's increment is a release, mark() an acquire: whoever sees the count makes
// its system call after the kernel reported the bytes, so the call finds them. The counters are 32
// bits wide and compared for equality: an edge would be lost if exactly 2^32 came between mark()
// and use_up(), that is, during one system call. (Eight bits were not enough for tokio:
// tokio#6133.)
class Edges {
 public:
  // Poll thread only.
  void add(Readiness readiness) {
    if (readiness.is_readable()) bump(Direction::read);
    if (readiness.is_writable()) bump(Direction::write);
  }

  // The runner only.
  std::uint32_t mark(Direction direction) const {
    return counts_[index(direction)].load(std::memory_order_acquire);
  }
  bool is_ready(Direction direction) const { return mark(direction) != used_[index(direction)]; }
  void use_up(Direction direction, std::uint32_t mark) { used_[index(direction)] = mark; }

 private:
  static constexpr std::size_t index(Direction direction) {
    return static_cast<std::size_t>(direction);
  }
  void bump(Direction direction) {  // one writer: no locked instruction
    std::atomic<std::uint32_t>& count = counts_[index(direction)];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  std::array<std::atomic<std::uint32_t>, 2> counts_ = {};
  std::array<std::uint32_t, 2> used_ = {};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_EDGES_H_
