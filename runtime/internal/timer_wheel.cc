#include "runtime/internal/timer_wheel.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace epore::internal {

void TimerWheel::insert(TimerNode& node, std::int64_t deadline) {
  node.deadline_ = deadline;
  link(node);
  ++size_;
}

void TimerWheel::move(TimerNode& node, std::int64_t deadline) {
  if (node.slot_ < 0) {
    insert(node, deadline);
  } else if (deadline < node.deadline_) {
    unlink(node);
    node.deadline_ = deadline;
    link(node);
  } else {
    Slot& slot = slots_[static_cast<std::size_t>(node.slot_)];
    slot.is_stale |= node.deadline_ == slot.earliest;
    node.deadline_ = deadline;
  }
}

int TimerWheel::slot_of(std::int64_t deadline) const {
  const std::int64_t tick = std::max(to_tick(std::max<std::int64_t>(deadline, 0)), tick_);
  const std::uint64_t difference = static_cast<std::uint64_t>(tick ^ tick_);
  const int level = difference == 0 ? 0 : (std::bit_width(difference) - 1) / 6;
  return level * kDigits + static_cast<int>((tick >> (6 * level)) & (kDigits - 1));
}

void TimerWheel::link(TimerNode& node) {
  const int index = slot_of(node.deadline_);
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  node.slot_ = static_cast<std::int16_t>(index);
  node.previous_ = nullptr;
  node.next_ = slot.first;
  if (slot.first != nullptr) slot.first->previous_ = &node;
  slot.first = &node;
  slot.earliest = std::min(slot.earliest, node.deadline_);
  occupied_[static_cast<std::size_t>(index / kDigits)] |= std::uint64_t{1} << (index % kDigits);
}

void TimerWheel::unlink(TimerNode& node) {
  Slot& slot = slots_[static_cast<std::size_t>(node.slot_)];
  (node.previous_ != nullptr ? node.previous_->next_ : slot.first) = node.next_;
  if (node.next_ != nullptr) node.next_->previous_ = node.previous_;
  if (slot.first == nullptr) {
    clear(node.slot_);
  } else if (node.deadline_ == slot.earliest) {
    slot.is_stale = true;
  }
}

bool TimerWheel::remove(TimerNode& node) {
  if (node.slot_ < 0) {
    node.slot_ = TimerNode::kOut;
    return false;
  }
  unlink(node);
  node.slot_ = TimerNode::kOut;
  --size_;
  return true;
}

void TimerWheel::clear(int index) {
  slots_[static_cast<std::size_t>(index)] = Slot();
  occupied_[static_cast<std::size_t>(index / kDigits)] &= ~(std::uint64_t{1} << (index % kDigits));
}

void TimerWheel::advance(std::int64_t now, std::vector<TimerNode*>& due) {
  const std::int64_t target = std::max(to_tick(now), tick_);
  // First the slots, then the time, then the nodes: each is looked at once, and is due or finds its
  // new slot.
  opened_.clear();
  for (int index = first_slot(); index >= 0 && slot_start(index) <= target; index = first_slot()) {
    opened_.push_back(slots_[static_cast<std::size_t>(index)].first);
    clear(index);
  }
  tick_ = target;
  sorted_.clear();
  for (TimerNode* node : opened_) {
    const auto from = static_cast<std::ptrdiff_t>(sorted_.size());
    while (node != nullptr) {
      TimerNode* const next = node->next_;
      if (node->deadline_ <= now) {
        node->slot_ = TimerNode::kDue;
        sorted_.push_back({node->deadline_, node});
      } else {
        link(*node);
      }
      node = next;
    }
    std::reverse(sorted_.begin() + from, sorted_.end());  // a slot hangs the newest first
  }
  size_ -= sorted_.size();
  sort_due();
  for (const Due& one : sorted_) due.push_back(one.node);
}

// Where many are due they are due at about the same time, and are sorted by the digits of that.
void TimerWheel::sort_due() {
  constexpr std::size_t kMany = 256;
  constexpr int kDigitBits = 11;
  constexpr std::uint64_t kDigitEnd = std::uint64_t{1} << kDigitBits;
  const auto earlier = [](const Due& a, const Due& b) { return a.deadline < b.deadline; };
  if (std::is_sorted(sorted_.begin(), sorted_.end(), earlier)) return;
  const auto [first, last] = std::minmax_element(sorted_.begin(), sorted_.end(), earlier);
  const std::uint64_t base = static_cast<std::uint64_t>(first->deadline);
  const std::uint64_t range = static_cast<std::uint64_t>(last->deadline) - base;
  if (sorted_.size() < kMany || range >= kDigitEnd * kDigitEnd) {
    std::sort(sorted_.begin(), sorted_.end(), earlier);
    return;
  }
  scratch_.resize(sorted_.size());
  for (int shift = 0; shift < 2 * kDigitBits; shift += kDigitBits) {
    const auto digit = [&](const Due& due) {
      return (static_cast<std::uint64_t>(due.deadline) - base) >> shift & (kDigitEnd - 1);
    };
    std::array<std::uint32_t, kDigitEnd> begin = {};
    for (const Due& one : sorted_) ++begin[digit(one)];
    std::exclusive_scan(begin.begin(), begin.end(), begin.begin(), std::uint32_t{0});
    for (const Due& one : sorted_) scratch_[begin[digit(one)]++] = one;
    sorted_.swap(scratch_);
  }
}

std::int64_t TimerWheel::next_deadline() {
  for (int index = first_slot(); index >= 0; index = first_slot()) {
    const Slot& slot = slots_[static_cast<std::size_t>(index)];
    if (slot.is_stale) refresh(index);
    if (slot.first != nullptr) return slot.earliest;
  }
  return kNever;
}

// Moves what was put off to where it belongs, and looks for the earliest of the rest.
void TimerWheel::refresh(int index) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  std::int64_t earliest = kNever;
  for (TimerNode* node = slot.first; node != nullptr;) {
    TimerNode* const next = node->next_;
    if (slot_of(node->deadline_) != index) {
      unlink(*node);
      link(*node);
    } else {
      earliest = std::min(earliest, node->deadline_);
    }
    node = next;
  }
  if (slot.first == nullptr) return;
  slot.earliest = earliest;
  slot.is_stale = false;
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
