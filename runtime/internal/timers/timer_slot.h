#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_SLOT_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_SLOT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "epore/runtime/internal/base/region.h"
#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// The nodes of one slot of a TimerWheel: where each can be taken out, and all can be walked over.
//
// An array of cells in pieces, not a list through the nodes. Nodes that have waited for a while are
// in nobody's cache: in a list each is waited for before the address of the next one is known.
//
// One thread at a time, but for is_taken().
class TimerSlot {
  // A cell finds its piece by its address.
  struct Piece {
    static constexpr std::size_t kAlignment = 512;
    static constexpr std::uint16_t kCells = 30;
    static constexpr int kAhead = 6;

    Piece* next;  // the newer one, or the next of the pool, or null
    Piece* previous;
    Piece* ahead;  // kAhead newer, or null, or none of them any more: to be prefetched
    std::atomic<std::int16_t> slot;  // its index, or kTaken
    TimerCell cells[kCells];

    static Piece& of(std::uintptr_t place) {
      return *reinterpret_cast<Piece*>(place & ~(std::uintptr_t{kAlignment} - 1));
    }
    void prefetch_ahead() const {
      const auto begin = reinterpret_cast<std::uintptr_t>(ahead);
      for (std::size_t at = 0; at < sizeof(Piece); at += 64) {
        __builtin_prefetch(reinterpret_cast<const void*>(begin + at));
      }
    }
  };

 public:
  static constexpr std::int16_t kTaken = -1;  // the slot of what stays after take()

  // The pieces that no slot needs. Keeps them all, so that arming allocates nothing that was not
  // needed before: 17 bytes for each timer that there ever was at once, and twice that for those
  // that were due at once.
  class Pool {
   public:
    Pool() = default;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    // The next add() allocates nothing, and so cannot fail.
    void reserve() {
      if (free_ == nullptr) give(new (region_.take(sizeof(Piece), Piece::kAlignment)) Piece);
    }

   private:
    friend class TimerSlot;

    Piece* take() {
      reserve();
      return std::exchange(free_, free_->next);
    }
    void give(Piece* piece) { give(piece, piece); }
    void give(Piece* first, Piece* last) { last->next = std::exchange(free_, first); }

    Region region_;
    Piece* free_ = nullptr;
  };

  TimerSlot() = default;
  TimerSlot(TimerSlot&& other) noexcept
      : oldest_(std::exchange(other.oldest_, nullptr)),
        newest_(other.newest_),
        filled_(other.filled_) {}
  TimerSlot& operator=(TimerSlot&&) = delete;

  bool empty() const { return oldest_ == nullptr; }

  // `slot` is this one's index, which slot_of() tells.
  void add(TimerNode& node, std::int64_t deadline, std::int16_t slot, Pool& pool);
  void remove(TimerNode& node, Pool& pool);

  static std::int16_t slot_of(const TimerNode& node) {
    return Piece::of(node.place()).slot.load(std::memory_order_relaxed);
  }

  // Calls function(cell) for each, in the order in which they were added, if none was removed
  // meanwhile. True: the node stays in its cell, which nothing changes any more, and is_taken()
  // tells so. False: it does not, and may have been added to another slot.
  template <typename Function>
  void take(Pool& pool, Function function);

  // Any thread, of a node that is in a cell.
  static bool is_taken(std::uintptr_t place) {
    return Piece::of(place).slot.load(std::memory_order_relaxed) == kTaken;
  }

  // After take(), when no node is in its cell any more.
  void clear(Pool& pool);

 private:
  void append(Piece* piece);

  Piece* oldest_ = nullptr;
  Piece* newest_ = nullptr;   // if there is an oldest one
  std::uint16_t filled_ = 0;  // cells of the newest; the others are full
};

template <typename Function>
void TimerSlot::take(Pool& pool, Function function) {
  Piece* rest = std::exchange(oldest_, nullptr);
  const std::uint16_t filled = filled_;
  while (rest != nullptr) {
    Piece* const piece = std::exchange(rest, rest->next);
    piece->prefetch_ahead();
    piece->slot.store(kTaken, std::memory_order_relaxed);
    const std::uint16_t count = rest != nullptr ? Piece::kCells : filled;
    bool stay = false;
    for (std::size_t i = 0; i < count; ++i) stay |= function(std::as_const(piece->cells[i]));
    if (stay) {
      append(piece);
    } else {
      pool.give(piece);
    }
  }
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_SLOT_H_
