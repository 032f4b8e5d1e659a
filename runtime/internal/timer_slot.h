#ifndef EPORE_RUNTIME_INTERNAL_TIMER_SLOT_H_
#define EPORE_RUNTIME_INTERNAL_TIMER_SLOT_H_

#include <cstdint>
#include <vector>

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
  TimerSlot(const TimerSlot&) = delete;
  TimerSlot& operator=(const TimerSlot&) = delete;
  ~TimerSlot() { free(newest_); }

  bool empty() const { return newest_ == nullptr; }

  void add(TimerNode& node, Pool& pool);
  void remove(TimerNode& node, Pool& pool);

  // Appends all to `nodes`, those first that were added last, if none was removed meanwhile.
  void list(std::vector<TimerNode*>& nodes) const;

  // Removes all, and lists them.
  void take(std::vector<TimerNode*>& nodes, Pool& pool);

 private:
  Piece* newest_ = nullptr;  // the others are full
  std::uint8_t filled_ = 0;  // of the newest
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMER_SLOT_H_
