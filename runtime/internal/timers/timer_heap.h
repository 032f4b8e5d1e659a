#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_HEAP_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_HEAP_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// A TimerHeap orders timer nodes by deadline. Of equal deadlines the one that was inserted first
// comes first. It is told the time and never reads a clock. One thread at a time.
//
// Each entry of the heap has four children, which lie in one cache line. An entry holds its
// deadline, so that moving entries reads no node. If a deadline is put off, the entry stays where
// it is until it comes to the top. A timeout that every message puts off costs two stores.
class TimerHeap {
 public:
  // Makes room for `count` nodes. Throws std::bad_alloc.
  void reserve(std::size_t count);

  // Gives the node a deadline, and inserts it if it is not in the heap. Requires room for it.
  void set(TimerNode& node, std::int64_t deadline);

  // Removes a node that is in the heap. `place` is its new place: kOut, kDisabled or kDue.
  void remove(TimerNode& node, std::uint32_t place);

  // Removes and returns the earliest node if its deadline is not after `now`; otherwise returns
  // null.
  TimerNode* pop(std::int64_t now, std::uint32_t place);

  // The earliest deadline, or kNever.
  std::int64_t earliest();

  std::size_t size() const { return entries_.size(); }

 private:
  static constexpr std::size_t kChildren = 4;

  struct Entry {
    std::int64_t deadline;  // the node's deadline, or an earlier one if that was put off
    TimerNode* node;
  };

  static bool is_before(const Entry& a, const Entry& b);
  void put(Entry entry, std::size_t index);
  void rise(Entry entry, std::size_t index);
  void sink(Entry entry, std::size_t index);

  std::vector<Entry> entries_;
  std::uint32_t inserted_ = 0;  // the number of insertions, modulo 2^32
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_HEAP_H_
