#include "epore/runtime/internal/timers/timer_queue.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/synchronization/mutex.h"

namespace epore::internal {
namespace {

// Returns the end of the first period that ends after `now`. Periods are counted from `deadline`.
std::int64_t next_period(std::int64_t deadline, std::int64_t interval, std::int64_t now) {
  const std::int64_t periods = std::max<std::int64_t>(now - deadline, 0) / interval + 1;
  return periods > kNever / interval ? kNever : saturating_add(deadline, periods * interval);
}

}  // namespace

void TimerQueue::keep_room() {
  const absl::MutexLock lock(&mutex_);
  heap_.reserve(heap_.size() + due_periodic_ + rooms_ + 1);
  ++rooms_;
}

void TimerQueue::give_room_back() {
  const absl::MutexLock lock(&mutex_);
  --rooms_;
}

TimerQueue::Armed TimerQueue::arm(TimerNode& node, std::int64_t deadline, PeriodicNode* periodic,
                                  std::int64_t interval, bool has_room) {
  const absl::MutexLock lock(&mutex_);
  if (node.place() == TimerNode::kDisabled) return {State::idle, false, false};
  if (deadline == kNever || is_closed_) return {take_out(node, TimerNode::kOut), false, false};
  if (!has_room) heap_.reserve(heap_.size() + due_periodic_ + rooms_ + 1);
  const State before = state(node);
  if (before == State::due && node.is_periodic()) --due_periodic_;
  if (periodic != nullptr) periodic->interval_.store(interval, std::memory_order_relaxed);
  const bool is_earliest = insert(node, deadline);
  if (before != State::armed) node.entered();
  return {before, true, is_earliest};
}

TimerQueue::State TimerQueue::make_idle(TimerNode& node, std::uint32_t place) {
  const absl::MutexLock lock(&mutex_);
  return node.place() == TimerNode::kDisabled ? State::idle : take_out(node, place);
}

TimerQueue::Claimed TimerQueue::claim(PeriodicNode& node, std::int64_t now) {
  const absl::MutexLock lock(&mutex_);
  if (node.place() != TimerNode::kDue) return {false, false, false};
  const std::int64_t interval = node.interval_.load(std::memory_order_relaxed);
  const std::int64_t next = interval == 0 ? kNever : next_period(node.deadline_, interval, now);
  if (next == kNever || is_closed_) {
    (void)take_out(node, TimerNode::kOut);
    return {true, false, false};
  }
  --due_periodic_;
  const bool is_earliest = insert(node, next);
  node.entered();
  return {true, true, is_earliest};
}

TimerQueue::State TimerQueue::state(const TimerNode& node) {
  const std::uint32_t place = node.place();
  if (TimerNode::is_in_heap(place)) return State::armed;
  return place == TimerNode::kDue ? State::due : State::idle;
}

void TimerQueue::collect(std::int64_t now) {
  if (collected() > 0 || now < earliest()) return;
  due_count_ = popped_ = 0;
  const absl::MutexLock lock(&mutex_);
  while (due_count_ < kAtOnce) {
    TimerNode* const node = heap_.pop(now, TimerNode::kDue);
    if (node == nullptr) break;
    if (node->is_periodic()) ++due_periodic_;
    due_[due_count_++] = node;
  }
  earliest_.store(heap_.earliest(), std::memory_order_release);
}

std::size_t TimerQueue::size() {
  const absl::MutexLock lock(&mutex_);
  return heap_.size();
}

void TimerQueue::close() {
  while (TimerNode* const node = take_any()) node->expired();
}

TimerNode* TimerQueue::take_any() {
  const absl::MutexLock lock(&mutex_);
  is_closed_ = true;
  TimerNode* const node = heap_.pop(kNever, TimerNode::kOut);
  earliest_.store(heap_.earliest(), std::memory_order_release);
  return node;
}

bool TimerQueue::insert(TimerNode& node, std::int64_t deadline) {
  heap_.set(node, deadline);
  if (deadline >= earliest_.load(std::memory_order_relaxed)) return false;
  earliest_.store(deadline, std::memory_order_release);
  return true;
}

TimerQueue::State TimerQueue::take_out(TimerNode& node, std::uint32_t place) {
  const State before = state(node);
  if (before == State::armed) {
    heap_.remove(node, place);
  } else {
    if (before == State::due && node.is_periodic()) --due_periodic_;
    node.set_place(place);
  }
  return before;
}

}  // namespace epore::internal
