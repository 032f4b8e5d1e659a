#ifndef EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_HEAP_H_
#define EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_HEAP_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// Timer nodes by deadline, earliest first; of equal deadlines the one that was inserted first. Told
// the time; never reads a clock. One thread at a time.
//
// A heap with four children for each entry, which lie in one cache line. Deadlines are in the heap,
// so that moving an entry reads no node. A node whose deadline is put off keeps its entry, which
// moves when it comes to the top: a timeout that every message puts off costs two stores.
class TimerHeap {
 public:
  // The heap can hold `count` nodes without an allocation. Throws std::bad_alloc.
  void reserve(std::size_t count);

  // Gives the node a deadline, whether it is in the heap or not. Requires room for it.
  void set(TimerNode& node, std::int64_t deadline);

  // Requires a node that is in the heap. Its place is `place` then, one of TimerNode's.
  void remove(TimerNode& node, std::uint32_t place);

  // Removes the earliest node if its deadline is not after `now`, or returns null.
  TimerNode* pop(std::int64_t now, std::uint32_t place);

  // The earliest deadline, or kNever.
  std::int64_t earliest();

  std::size_t size() const { return entries_.size(); }

 private:
  static constexpr std::size_t kChildren = 4;

  struct Entry {
    std::int64_t deadline;  // not after the node's
    TimerNode* node;
  };

  static bool is_before(const Entry& a, const Entry& b);
  void put(Entry entry, std::size_t index);
  void rise(Entry entry, std::size_t index);
  void sink(Entry entry, std::size_t index);

  std::vector<Entry> entries_;
  std::uint32_t inserted_ = 0;  // nodes so far, modulo 2^32
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TIMERS_TIMER_HEAP_H_
