#ifndef EPORE_RUNTIME_INTERNAL_TIMER_SLOT_H_
#define EPORE_RUNTIME_INTERNAL_TIMER_SLOT_H_

#include <cstdint>
#include <utility>

#include "runtime/internal/timer_node.h"

namespace epore::internal {

// The nodes of one slot of a TimerWheel: where each can be taken out, and all can be walked over.
//
// An array of their addresses in pieces, not a list through the nodes. Nodes that have waited for a
// while are in nobody's cache: in a list each is waited for before the address of the next one is
// known, here the next ones are under way meanwhile.
//
// One thread at a time.
class TimerSlot {
  struct Piece {
    static constexpr std::uint8_t kCells = 30;  // 248 bytes

    Piece* next;
    TimerNode* cells[kCells];
  };

  static void free(Piece* first);
  static void prefetch(const TimerNode* node) { __builtin_prefetch(&node->deadline_, 1); }

 public:
  // The pieces that no slot needs. Keeps them all, so that arming allocates nothing that was not
  // needed before: 9 bytes for each timer there ever was at once.
  class Pool {
   public:
    Pool() = default;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool() { free(free_); }

    // The next add() allocates nothing, and so cannot fail.
    void reserve() {
      if (free_ == nullptr) give(new Piece);
    }

   private:
    friend class TimerSlot;

    Piece* take();
    void give(Piece* piece);

    Piece* free_ = nullptr;
  };

  TimerSlot() = default;
  TimerSlot(TimerSlot&& other) noexcept
      : newest_(std::exchange(other.newest_, nullptr)), filled_(other.filled_) {}
  TimerSlot& operator=(TimerSlot&&) = delete;
  ~TimerSlot() { free(newest_); }

  bool empty() const { return newest_ == nullptr; }

  void add(TimerNode& node, Pool& pool);
  void remove(TimerNode& node, Pool& pool);

  // Removes all, and calls function(node) for each, in the order in which they were added, if none
  // was removed meanwhile. It may add them to other slots.
  template <typename Function>
  void take(Pool& pool, Function function);

 private:
  Piece* newest_ = nullptr;  // the others are full
  std::uint8_t filled_ = 0;  // of the newest
};

template <typename Function>
void TimerSlot::take(Pool& pool, Function function) {
  constexpr int kAhead = 8;  // so many nodes before it is looked at, one is prefetched
  Piece* oldest = nullptr;
  while (newest_ != nullptr) {
    Piece* const next = std::exchange(newest_, newest_->next);
    next->next = std::exchange(oldest, next);
  }
  const auto filled = [this](const Piece& piece) {
    return piece.next != nullptr ? Piece::kCells : int{filled_};
  };
  while (oldest != nullptr) {
    const int count = filled(*oldest);
    const Piece* const next = oldest->next;
    const int count_of_next = next != nullptr ? filled(*next) : 0;
    for (int i = 0; i < count; ++i) {
      const int ahead = i + kAhead;
      if (ahead < count) {
        prefetch(oldest->cells[ahead]);
      } else if (ahead - count < count_of_next) {
        prefetch(next->cells[ahead - count]);
      }
      function(*oldest->cells[i]);
    }
    pool.give(std::exchange(oldest, oldest->next));
  }
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMER_SLOT_H_
