#ifndef EPORE_RUNTIME_INTERNAL_TIMER_WHEEL_H_
#define EPORE_RUNTIME_INTERNAL_TIMER_WHEEL_H_

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace epore::internal {

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// a + b for a >= 0, stopping at the ends instead of overflowing.
constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  return b > kNever - a ? kNever : a + b;
}

// What a timer wheel holds; part of the object that waits. Everything is the wheel owner's.
class TimerNode {
 public:
  TimerNode() = default;
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  // Called after the deadline on the poll thread, without a lock. The node is out of the wheel
  // then, unless somebody has armed it anew meanwhile.
  virtual void expired() = 0;

  // Called under TimerQueue's lock when the node comes into the wheel, not when it only moves in
  // it: for a reference, which then is the wheel's until expired(), cancel() or arm() say that the
  // node has left.
  virtual void entered() {}

 protected:
  ~TimerNode() = default;

 private:
  friend class TimerWheel;
  friend class TimerQueue;

  TimerNode* previous_ = nullptr;
  TimerNode* next_ = nullptr;
  std::int64_t deadline_ = kNever;
  std::int64_t interval_ = 0;  // TimerQueue's: of a periodic one
  std::int16_t slot_ = kOut;   // in the wheel: level * 64 + digit

  static constexpr std::int16_t kOut = -1;
  static constexpr std::int16_t kDue = -2;  // taken out as due
};

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

  // Puts a node that is not in the wheel. A deadline in the past is due at once; kNever is never.
  void insert(TimerNode& node, std::int64_t deadline);

  // Gives it another deadline, whether it is in or not. One that is put off stays where it hangs
  // until its old deadline is near: a timeout that every message puts off costs no more than this.
  void move(TimerNode& node, std::int64_t deadline);

  // Takes it out; false if it was not in, but then it is not kDue any more.
  bool remove(TimerNode& node);

  // Moves on to `now` (not before any earlier one) and appends the nodes with deadlines up to then
  // to `due`, earliest first, equal ones in no particular order. They are out, and kDue.
  void advance(std::int64_t now, std::vector<TimerNode*>& due);

  // The earliest deadline, or kNever.
  std::int64_t next_deadline();

  std::uint64_t size() const { return size_; }

 private:
  static constexpr int kLevels = 8;
  static constexpr int kDigits = 64;

  struct Slot {
    TimerNode* first = nullptr;
    std::int64_t earliest = kNever;  // a lower bound if is_stale
    bool is_stale = false;           // and some may belong into later slots
  };

  static std::int64_t to_tick(std::int64_t time) { return time >> 20; }
  int slot_of(std::int64_t deadline) const;
  void link(TimerNode& node);
  void unlink(TimerNode& node);
  void refresh(int index);
  void clear(int index);
  void sort_due();
  int first_slot() const;                   // of the earliest non-empty slot, or -1
  std::int64_t slot_start(int slot) const;  // the first tick of a slot

  std::int64_t tick_;
  std::uint64_t size_ = 0;
  std::array<std::uint64_t, kLevels> occupied_ = {};  // a bit for each slot
  std::array<Slot, kLevels* kDigits> slots_ = {};

  // Of advance(), kept for their memory. Sorted are copies of the deadlines: to look them up in the
  // nodes would cost a cache miss or two for each comparison.
  struct Due {
    std::int64_t deadline;
    TimerNode* node;
  };
  std::vector<Due> sorted_;
  std::vector<Due> scratch_;
  std::vector<TimerNode*> opened_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMER_WHEEL_H_
