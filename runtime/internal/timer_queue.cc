#include "runtime/internal/timer_queue.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "runtime/internal/runnable.h"

namespace epore::internal {

TimerQueue::Armed TimerQueue::arm(TimerNode& node, std::int64_t deadline, std::int64_t interval) {
  absl::MutexLock lock(&mutex_);
  node.interval_ = interval;
  if (deadline == kNever || is_closed_) return {take_out(node), false, false};
  const State before = state(node);
  const bool is_earliest = insert(node, deadline);
  if (before != State::armed) node.entered();
  return {before, true, is_earliest};
}

TimerQueue::State TimerQueue::cancel(TimerNode& node) {
  absl::MutexLock lock(&mutex_);
  return take_out(node);
}

TimerQueue::Claimed TimerQueue::claim(TimerNode& node, std::int64_t now) {
  absl::MutexLock lock(&mutex_);
  if (claim_once(node)) return {true, false, false};
  if (node.slot() != TimerNode::kDueAgain) return {false, false, false};
  // On the grid of the first deadline, leaving out the periods that have passed.
  const std::int64_t late = std::max<std::int64_t>(now - node.deadline_, 0);
  const std::int64_t periods = late / node.interval_ + 1;
  const std::int64_t next = periods > kNever / node.interval_
                                ? kNever
                                : saturating_add(node.deadline_, periods * node.interval_);
  if (next == kNever || is_closed_) {
    node.set_slot(TimerNode::kOut);
    return {true, false, false};
  }
  const bool is_earliest = insert(node, next);
  node.entered();
  return {true, true, is_earliest};
}

TimerQueue::State TimerQueue::state(const TimerNode& node) const {
  const std::int16_t slot = node.slot_.load(std::memory_order_acquire);
  if (slot >= 0) return State::armed;
  return slot == TimerNode::kOut ? State::idle : State::due;
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
  for (TimerNode* node : dropped) (void)node->expired();
}

bool TimerQueue::insert(TimerNode& node, std::int64_t deadline) {
  wheel_.move(node, deadline);
  if (deadline >= earliest_.load(std::memory_order_relaxed)) return false;
  earliest_.store(deadline, std::memory_order_release);
  return true;
}

TimerQueue::State TimerQueue::take_out(TimerNode& node) {
  if (wheel_.remove(node)) return State::armed;
  if (claim_once(node)) return State::due;
  if (node.slot() == TimerNode::kOut) return State::idle;
  node.set_slot(TimerNode::kOut);
  return State::due;
}

}  // namespace epore::internal
