#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_DUE_LIST_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_DUE_LIST_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// The cells of timers that are due, earliest first. Keeps its memory. One thread at a time.
//
// A hundred thousand that are due at once are more than a cache holds, so there is little of each
// here: while they are sorted a number of eight bytes, then the address of its cell. Their nodes
// are not looked at before they are popped.
class DueList {
 public:
  // A node and the cell in which it was found due, and may not be any more. Or none.
  struct Due {
    TimerNode* node = nullptr;
    const TimerCell* cell = nullptr;

    explicit operator bool() const { return node != nullptr; }
  };

  // Of a node that is to be popped soon, bytes from its beginning.
  static constexpr std::ptrdiff_t kPrefetched = 80;

  // Begins anew, with cells whose deadlines are not after `now`.
  void begin(std::int64_t now);

  // The cell stays there until it is popped. Of an array, those with lower indexes come first.
  void add(const TimerCell& cell);

  // After the last one was added. What is equal stays in the order in which it was added.
  void sort();

  // The next, or none.
  Due pop() {
    if (size() == 0) return {};
    const TimerCell* const* const next = &ordered_[popped_++];
    // Neither cells nor nodes are in the cache. The way to memory takes as long as a few callbacks.
    if (size() >= 2 * kAhead) {
      __builtin_prefetch(next[2 * kAhead]);
      prefetch(next[kAhead]->node);
    }
    return {(*next)->node, *next};
  }
  std::size_t size() const { return count_ - popped_; }

 private:
  static constexpr std::size_t kAhead = 16;

  static void prefetch(const TimerNode* node) {
    static_assert(kPrefetched <= 2 * 64);
    __builtin_prefetch(node, 1);
    __builtin_prefetch(reinterpret_cast<const char*>(node) + kPrefetched - 1, 1);
  }

  // Cells lie close together, in few blocks of memory: a block's number and the place in it are
  // half of an address.
  static constexpr std::uintptr_t kBlock = 512;
  static constexpr int kPlaceBits = 6;
  static_assert(kBlock / alignof(TimerCell) == std::uintptr_t{1} << kPlaceBits);

  const TimerCell* cell_at(std::uint32_t index) const {
    constexpr std::uint32_t kPlaces = std::uint32_t{1} << kPlaceBits;
    return reinterpret_cast<const TimerCell*>(blocks_[index / kPlaces] +
                                              index % kPlaces * alignof(TimerCell));
  }
  bool order_by_digits(const TimerCell** to);

  std::vector<std::uintptr_t> blocks_;
  std::vector<const TimerCell*> ordered_;
  std::size_t count_ = 0;  // of what is ordered
  std::size_t popped_ = 0;

  // What is sorted is a number for each: the ns from the span's beginning to its deadline, above
  // its cell's index.
  std::vector<std::uint64_t> keys_;
  std::vector<std::uint64_t> scratch_;
  std::int64_t begin_ = 0;  // of the span of 2^32 ns

  // For what is earlier than that there is no such number: its deadline and its cell's index.
  std::vector<std::pair<std::int64_t, std::uint32_t>> earlier_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_DUE_LIST_H_
