#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_EDGES_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_EDGES_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "epore/poll/readiness.h"

namespace epore::internal {

// Members that exist once for reading and once for writing are arrays with this index.
enum class Direction : std::uint8_t { read, write };

// Edges counts the edges of one registration, for each direction. An edge-triggered queue reports a
// change once, so no edge may be forgotten. The race, with a plain flag "ready" instead:
//
//   runner                                   poll thread
//   recv -> EAGAIN
//                                            new bytes: ready = true
//   ready = false                            (the edge is lost; the bytes are never read)
//
// Each direction has a count of edges, which only the poll thread writes. The runner notes which
// count it has used up. "Ready" means that the two differ. The runner calls mark() before the
// system call. A call that returns EAGAIN uses up the edges before that mark, and no later one:
//
//   runner: m = mark(); recv -> EAGAIN; use_up(m)        poll thread: ++count at any time between
//
// Orders: the poll thread stores the count with release, mark() loads it with acquire. A runner
// that sees the count makes its system call after the kernel has reported the bytes, so it finds
// them.
//
// A count has 32 bits and is compared for equality. An edge is lost if exactly 2^32 edges come
// during one system call. (Eight bits were not enough: tokio#6133.)
class Edges {
 public:
  // The poll thread only: counts the edges of an event.
  void add(Readiness readiness) {
    add(Direction::read, readiness.is_readable() ? 1 : 0);
    add(Direction::write, readiness.is_writable() ? 1 : 0);
  }

  // The runner only, as all of the following.
  std::uint32_t mark(Direction direction) const {
    return counts_[index(direction)].load(std::memory_order_acquire);
  }
  bool is_ready(Direction direction) const { return mark(direction) != used_[index(direction)]; }
  void use_up(Direction direction, std::uint32_t mark) { used_[index(direction)] = mark; }

 private:
  static constexpr std::size_t index(Direction direction) {
    return static_cast<std::size_t>(direction);
  }
  void add(Direction direction, std::uint32_t edges) {
    std::atomic<std::uint32_t>& count = counts_[index(direction)];
    // One thread writes, so no locked instruction is needed.
    count.store(count.load(std::memory_order_relaxed) + edges, std::memory_order_release);
  }

  std::array<std::atomic<std::uint32_t>, 2> counts_ = {};
  std::array<std::uint32_t, 2> used_ = {};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_EDGES_H_
