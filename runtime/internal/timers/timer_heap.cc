#include "epore/runtime/internal/timers/timer_heap.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace epore::internal {

void TimerHeap::reserve(std::size_t count) {
  if (count > entries_.capacity()) entries_.reserve(std::max(count, 2 * entries_.capacity()));
}

void TimerHeap::set(TimerNode& node, std::int64_t deadline) {
  node.deadline_ = deadline;
  const std::uint32_t place = node.place();
  if (!TimerNode::is_in_heap(place)) {
    node.number_ = inserted_++;
    entries_.emplace_back();
    rise({deadline, &node}, entries_.size() - 1);
  } else if (deadline < entries_[place].deadline) {
    rise({deadline, &node}, place);
  }
}

void TimerHeap::remove(TimerNode& node, std::uint32_t place) {
  const std::size_t hole = node.place();
  node.set_place(place);
  const Entry last = entries_.back();
  entries_.pop_back();
  if (hole == entries_.size()) return;
  if (is_before(last, entries_[hole])) {
    rise(last, hole);
  } else {
    sink(last, hole);
  }
}

TimerNode* TimerHeap::pop(std::int64_t now, std::uint32_t place) {
  if (earliest() > now || entries_.empty()) return nullptr;
  TimerNode* const first = entries_.front().node;
  remove(*first, place);
  return first;
}

std::int64_t TimerHeap::earliest() {
  while (!entries_.empty()) {
    TimerNode& first = *entries_.front().node;
    if (entries_.front().deadline == first.deadline_) return first.deadline_;
    sink({first.deadline_, &first}, 0);  // the deadline was put off
  }
  return kNever;
}

bool TimerHeap::is_before(const Entry& a, const Entry& b) {
  if (a.deadline != b.deadline) return a.deadline < b.deadline;
  return static_cast<std::int32_t>(a.node->number_ - b.node->number_) < 0;
}

void TimerHeap::put(Entry entry, std::size_t index) {
  entries_[index] = entry;
  entry.node->set_place(static_cast<std::uint32_t>(index));
}

// Puts `entry` at `index` or above.
void TimerHeap::rise(Entry entry, std::size_t index) {
  while (index > 0) {
    const std::size_t parent = (index - 1) / kChildren;
    if (!is_before(entry, entries_[parent])) break;
    put(entries_[parent], index);
    index = parent;
  }
  put(entry, index);
}

// Puts `entry` at `index` or below. It first moves the earliest child up at each level, down to the
// bottom, and then lets the entry rise. The entry mostly belongs to the bottom, so this compares
// less.
void TimerHeap::sink(Entry entry, std::size_t index) {
  for (;;) {
    const std::size_t first = index * kChildren + 1;
    const std::size_t end = std::min(first + kChildren, entries_.size());
    if (first >= end) break;
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child) {
      if (is_before(entries_[child], entries_[least])) least = child;
    }
    put(entries_[least], index);
    index = least;
  }
  rise(entry, index);
}

}  // namespace epore::internal
