#include "epore/runtime/internal/timers/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace epore::internal {

void TimerWheel::insert(TimerNode& node, std::int64_t deadline) {
  link(node, deadline);
  ++size_;
}

void TimerWheel::move(TimerNode& node, std::int64_t deadline) {
  if (!is_in(node)) return insert(node, deadline);
  TimerCell& cell = *TimerNode::to_cell(node.place());
  if (deadline < cell.deadline) {
    unlink(node);
    link(node, deadline);
  } else {
    Slot& slot = slot_of(node);
    slot.is_stale |= cell.deadline == slot.earliest;
    cell.deadline = deadline;
  }
}

int TimerWheel::index_of(std::int64_t deadline) const {
  const std::int64_t tick = std::max(to_tick(std::max<std::int64_t>(deadline, 0)), tick_);
  const std::uint64_t difference = static_cast<std::uint64_t>(tick ^ tick_);
  const int level = difference == 0 ? 0 : (std::bit_width(difference) - 1) / 6;
  return level * kDigits + static_cast<int>((tick >> (6 * level)) & (kDigits - 1));
}

void TimerWheel::link(TimerNode& node, std::int64_t deadline) {
  const int index = index_of(deadline);
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  slot.nodes.add(node, deadline, static_cast<std::int16_t>(index), pool_);
  slot.earliest = std::min(slot.earliest, deadline);
  occupied_[static_cast<std::size_t>(index / kDigits)] |= std::uint64_t{1} << (index % kDigits);
}

void TimerWheel::unlink(TimerNode& node) {
  const std::int16_t index = TimerSlot::slot_of(node);
  const std::int64_t deadline = TimerNode::to_cell(node.place())->deadline;
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  slot.nodes.remove(node, pool_);
  if (slot.nodes.empty()) {
    (void)open(index);
  } else if (deadline == slot.earliest) {
    slot.is_stale = true;
  }
}

bool TimerWheel::remove(TimerNode& node) {
  if (!is_in(node)) return false;
  unlink(node);
  node.set_place(TimerNode::kOut);
  --size_;
  return true;
}

TimerSlot TimerWheel::open(int index) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  slot.earliest = kNever;
  slot.is_stale = false;
  occupied_[static_cast<std::size_t>(index / kDigits)] &= ~(std::uint64_t{1} << (index % kDigits));
  return std::move(slot.nodes);
}

void TimerWheel::advance(std::int64_t now, DueList& due) {
  for (TimerSlot& slot : due_) slot.clear(pool_);
  due_.clear();
  const std::int64_t target = std::max(to_tick(now), tick_);
  // First the slots, then the time, then the nodes: each is looked at once, and is due or finds its
  // new slot.
  for (int index = first_slot(); index >= 0 && slot_start(index) <= target; index = first_slot()) {
    due_.reserve(due_.size() + 1);
    due_.push_back(open(index));
  }
  tick_ = target;
  due.begin(now);
  for (TimerSlot& slot : due_) {
    slot.take(pool_, [&](const TimerCell& cell) {
      const bool is_due = cell.deadline <= now;
      if (is_due) {
        due.add(cell);
      } else {
        link(*cell.node, cell.deadline);
      }
      return is_due;
    });
  }
  due.sort();
  size_ -= due.size();
}

void TimerWheel::take_all(std::vector<TimerNode*>& nodes) {
  for (int index = first_slot(); index >= 0; index = first_slot()) {
    open(index).take(pool_, [&](const TimerCell& cell) {
      cell.node->set_place(TimerNode::kOut);
      nodes.push_back(cell.node);
      return false;
    });
  }
  size_ = 0;
}

std::int64_t TimerWheel::next_deadline() {
  for (int index = first_slot(); index >= 0; index = first_slot()) {
    const Slot& slot = slots_[static_cast<std::size_t>(index)];
    if (slot.is_stale) refresh(index);
    if (!slot.nodes.empty()) return slot.earliest;
  }
  return kNever;
}

// Moves what was put off to where it belongs, and finds the earliest of the rest.
void TimerWheel::refresh(int index) {
  open(index).take(pool_, [this](const TimerCell& cell) {
    link(*cell.node, cell.deadline);
    return false;
  });
}

int TimerWheel::first_slot() const {
  for (int level = 0; level < kLevels; ++level) {
    const std::uint64_t bits = occupied_[static_cast<std::size_t>(level)];
    if (bits != 0) return level * kDigits + std::countr_zero(bits);
  }
  return -1;
}

std::int64_t TimerWheel::slot_start(int slot) const {
  // The digits above the slot's level are those of now, the ones below are zero.
  const int shift = 6 * (slot / kDigits);
  const std::int64_t above = (tick_ >> shift) & ~std::int64_t{kDigits - 1};
  return (above | (slot % kDigits)) << shift;
}

}  // namespace epore::internal
