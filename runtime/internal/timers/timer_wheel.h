#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_WHEEL_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_WHEEL_H_

#include <array>
#include <cstdint>
#include <vector>

#include "epore/runtime/internal/timers/due_list.h"
#include "epore/runtime/internal/timers/timer_node.h"
#include "epore/runtime/internal/timers/timer_slot.h"

namespace epore::internal {

// Timers by deadline: arming and cancelling cost the same however many there are, and deadlines
// keep their nanoseconds. Told the time; never reads a clock.
//
// A hierarchical wheel after Varghese and Lauck ("Hashed and hierarchical timing wheels", 1987).
// Time is counted in ticks of 2^20 ns (about a millisecond) and a tick is written with eight digits
// of six bits. A timer hangs in the level of the highest digit in which its tick differs from the
// current one, in the slot of that digit. So all of level n are due before all of level n+1, and in
// a level the slots are in order. (One that was put off may hang too early, never too late.) Each
// slot knows its earliest deadline, so next_deadline() is exact and nobody wakes up just to move
// timers to a lower level.
//
// One thread at a time.
class TimerWheel {
 public:
  explicit TimerWheel(std::int64_t now) : tick_(to_tick(now)) {}

  // The next insert() or move() allocates nothing, and so cannot fail.
  void reserve() { pool_.reserve(); }

  // Puts a node that is not in the wheel. A deadline in the past is due at once; kNever is never.
  void insert(TimerNode& node, std::int64_t deadline);

  // Gives it another deadline, whether it is in or not. One that is put off stays where it hangs
  // until its old deadline is near: a timeout that every message puts off costs no more than this.
  void move(TimerNode& node, std::int64_t deadline);

  // Any thread, of a node that is in a cell: whether advance() has listed it, and nobody has moved
  // it since.
  static bool is_due(std::uintptr_t place) { return TimerSlot::is_taken(place); }

  // Takes it out; false if it was not in.
  bool remove(TimerNode& node);

  // Moves on to `now` (not before any earlier one) and lists the nodes with deadlines up to then.
  // They are due, see is_due(), and not in the wheel any more. All that the last call listed must
  // have been popped.
  void advance(std::int64_t now, DueList& due);

  // Takes out all, in no particular order. They are not due.
  void take_all(std::vector<TimerNode*>& nodes);

  // The earliest deadline, or kNever.
  std::int64_t next_deadline();

  std::uint64_t size() const { return size_; }

 private:
  static constexpr int kLevels = 8;
  static constexpr int kDigits = 64;

  struct Slot {
    TimerSlot nodes;
    std::int64_t earliest = kNever;  // a lower bound if is_stale
    bool is_stale = false;           // and some may belong into later slots
  };

  static std::int64_t to_tick(std::int64_t time) { return time >> 20; }
  static bool is_in(const TimerNode& node) {
    const std::uintptr_t place = node.place();
    return TimerNode::is_cell(place) && !is_due(place);
  }
  Slot& slot_of(const TimerNode& node) {
    return slots_[static_cast<std::size_t>(TimerSlot::slot_of(node))];
  }
  int index_of(std::int64_t deadline) const;
  void link(TimerNode& node, std::int64_t deadline);
  void unlink(TimerNode& node);
  void refresh(int index);
  TimerSlot open(int index);                // leaves it empty
  int first_slot() const;                   // of the earliest non-empty slot, or -1
  std::int64_t slot_start(int slot) const;  // the first tick of a slot

  std::int64_t tick_;
  std::uint64_t size_ = 0;
  std::array<std::uint64_t, kLevels> occupied_ = {};  // a bit for each slot
  TimerSlot::Pool pool_;
  std::array<Slot, kLevels* kDigits> slots_ = {};

  std::vector<TimerSlot> due_;  // advance()'s last
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_WHEEL_H_
