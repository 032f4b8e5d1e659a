#include "epore/runtime/internal/timers/timer_queue.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace epore::internal {

TimerQueue::Armed TimerQueue::arm(TimerNode& node, std::int64_t deadline, std::int64_t interval) {
  absl::MutexLock lock(&mutex_);
  if (is_retired(node)) return {State::idle, false, false};
  if (deadline == kNever || is_closed_) return {take_out(node, TimerNode::kOut), false, false};
  wheel_.reserve();
  node.set_period(interval, deadline);
  const State before = state(node);
  const bool is_earliest = insert(node, deadline);
  if (before != State::armed) node.entered();
  return {before, true, is_earliest};
}

TimerQueue::State TimerQueue::cancel(TimerNode& node) {
  absl::MutexLock lock(&mutex_);
  return is_retired(node) ? State::idle : take_out(node, TimerNode::kOut);
}

TimerQueue::State TimerQueue::retire(TimerNode& node) {
  absl::MutexLock lock(&mutex_);
  return is_retired(node) ? State::idle : take_out(node, TimerNode::kRetired);
}

TimerQueue::Claimed TimerQueue::claim(TimerNode& node, std::int64_t now) {
  absl::MutexLock lock(&mutex_);
  if (claim_once(node)) return {true, false, false};
  if (node.place() != TimerNode::kDueAgain) return {false, false, false};
  wheel_.reserve();
  const std::int64_t next = node.next_period(now);
  if (next == kNever || is_closed_) {
    node.set_place(TimerNode::kOut);
    return {true, false, false};
  }
  const bool is_earliest = insert(node, next);
  node.entered();
  return {true, true, is_earliest};
}

TimerQueue::State TimerQueue::state(const TimerNode& node) {
  const std::uintptr_t place = node.place();
  if (place == TimerNode::kOut || place == TimerNode::kRetired) return State::idle;
  return TimerNode::is_cell(place) && !TimerWheel::is_due(place) ? State::armed : State::due;
}

void TimerQueue::collect(std::int64_t now) {
  if (collected() > 0 || now < earliest()) return;
  absl::MutexLock lock(&mutex_);
  wheel_.advance(now, due_);
  earliest_.store(wheel_.next_deadline(), std::memory_order_release);
}

std::uint64_t TimerQueue::size() {
  absl::MutexLock lock(&mutex_);
  return wheel_.size();
}

void TimerQueue::close() {
  std::vector<TimerNode*> dropped;
  {
    absl::MutexLock lock(&mutex_);
    is_closed_ = true;
    wheel_.take_all(dropped);
    earliest_.store(kNever, std::memory_order_release);
  }
  for (TimerNode* node : dropped) node->expired();
}

bool TimerQueue::insert(TimerNode& node, std::int64_t deadline) {
  wheel_.move(node, deadline);
  if (deadline >= earliest_.load(std::memory_order_relaxed)) return false;
  earliest_.store(deadline, std::memory_order_release);
  return true;
}

TimerQueue::State TimerQueue::take_out(TimerNode& node, std::uintptr_t to) {
  if (wheel_.remove(node)) {
    node.set_place(to);
    return State::armed;
  }
  return node.place_.exchange(to, std::memory_order_acq_rel) == TimerNode::kOut ? State::idle
                                                                                : State::due;
}

}  // namespace epore::internal
