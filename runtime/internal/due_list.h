#ifndef EPORE_RUNTIME_INTERNAL_DUE_LIST_H_
#define EPORE_RUNTIME_INTERNAL_DUE_LIST_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/internal/timer_node.h"

namespace epore::internal {

// Timers that are due, earliest first. Keeps its memory. One thread at a time.
class DueList {
 public:
  // Begins anew, with timers whose deadlines are not after `now`.
  void begin(std::int64_t now);
  void add(TimerNode& node, std::int64_t deadline);

  // After the last one was added. What is equal stays in the order in which it was added.
  void sort();

  // The next, or null.
  TimerNode* pop();
  std::size_t size() const { return count_ - popped_; }

 private:
  bool order_by_digits(TimerNode** to);

  std::vector<TimerNode*> added_;
  std::vector<TimerNode*> ordered_;
  std::size_t count_ = 0;  // of what is ordered
  std::size_t popped_ = 0;

  // What is sorted is a number for each: the ns from the span's beginning to its deadline, above
  // its place in added_.
  std::vector<std::uint64_t> keys_;
  std::vector<std::uint64_t> scratch_;
  std::int64_t begin_ = 0;  // of the span of 2^32 ns

  // For what is earlier than that there is no such number: its deadline and its place.
  std::vector<std::pair<std::int64_t, std::size_t>> earlier_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DUE_LIST_H_
