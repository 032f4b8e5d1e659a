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
namespace {

// So many nodes before it is looked at, one is prefetched.
constexpr std::size_t kAhead = 8;

// What is sorted, unless a deadline is older than this span, some seconds: a node's index, below
// the ns from the span's beginning to its deadline. To look the deadlines up in the nodes would
// cost a cache miss or two for each comparison.
constexpr int kIndexBits = 32;
constexpr std::int64_t kSpan = (std::int64_t{1} << 32) - 1;

std::uint64_t key_of(std::int64_t deadline, std::int64_t oldest, std::size_t index) {
  return (static_cast<std::uint64_t>(deadline) - static_cast<std::uint64_t>(oldest)) << kIndexBits |
         index;
}
std::size_t index_of(std::uint64_t key) { return key & ((std::uint64_t{1} << kIndexBits) - 1); }

// Of so many keys sorting by digits is faster.
constexpr std::size_t kMany = 256;
constexpr int kDigitBits = 11;
constexpr std::uint64_t kDigitEnd = std::uint64_t{1} << kDigitBits;

}  // namespace

void TimerWheel::insert(TimerNode& node, std::int64_t deadline) {
  pool_.reserve();
  node.deadline_ = deadline;
  link(node);
  ++size_;
}

void TimerWheel::move(TimerNode& node, std::int64_t deadline) {
  if (!node.is_in()) {
    insert(node, deadline);
  } else if (deadline < node.deadline_) {
    pool_.reserve();
    unlink(node);
    node.deadline_ = deadline;
    link(node);
  } else {
    Slot& slot = slots_[static_cast<std::size_t>(node.slot())];
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
  node.set_slot(static_cast<std::int16_t>(index));
  slot.nodes.add(node, pool_);
  slot.earliest = std::min(slot.earliest, node.deadline_);
  occupied_[static_cast<std::size_t>(index / kDigits)] |= std::uint64_t{1} << (index % kDigits);
}

void TimerWheel::unlink(TimerNode& node) {
  Slot& slot = slots_[static_cast<std::size_t>(node.slot())];
  slot.nodes.remove(node, pool_);
  if (slot.nodes.empty()) {
    close(node.slot());
  } else if (node.deadline_ == slot.earliest) {
    slot.is_stale = true;
  }
}

bool TimerWheel::remove(TimerNode& node) {
  if (!node.is_in()) return false;
  unlink(node);
  node.set_slot(TimerNode::kOut);
  --size_;
  return true;
}

// An empty one.
void TimerWheel::close(int index) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  slot.earliest = kNever;
  slot.is_stale = false;
  occupied_[static_cast<std::size_t>(index / kDigits)] &= ~(std::uint64_t{1} << (index % kDigits));
}

void TimerWheel::advance(std::int64_t now, std::vector<TimerNode*>& due) {
  const std::int64_t target = std::max(to_tick(now), tick_);
  // First the slots, then the time, then the nodes: each is looked at once, and is due or finds its
  // new slot.
  nodes_.clear();
  for (int index = first_slot(); index >= 0 && slot_start(index) <= target; index = first_slot()) {
    const auto from = static_cast<std::ptrdiff_t>(nodes_.size());
    slots_[static_cast<std::size_t>(index)].nodes.take(nodes_, pool_);
    std::reverse(nodes_.begin() + from, nodes_.end());
    close(index);
  }
  tick_ = target;
  keys_.clear();
  const std::int64_t oldest = now - kSpan;
  bool has_older = false;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    prefetch(i + kAhead);
    TimerNode& node = *nodes_[i];
    if (node.deadline_ > now) {
      link(node);
      continue;
    }
    node.set_due();
    has_older |= node.deadline_ < oldest;
    nodes_[keys_.size()] = &node;
    keys_.push_back(key_of(node.deadline_, oldest, keys_.size()));
  }
  nodes_.resize(keys_.size());
  size_ -= nodes_.size();
  if (has_older) {
    std::sort(nodes_.begin(), nodes_.end(),
              [](const TimerNode* a, const TimerNode* b) { return a->deadline_ < b->deadline_; });
    due.insert(due.end(), nodes_.begin(), nodes_.end());
    return;
  }
  sort_keys();
  for (std::uint64_t key : keys_) due.push_back(nodes_[index_of(key)]);
}

void TimerWheel::take_all(std::vector<TimerNode*>& nodes) {
  for (int index = first_slot(); index >= 0; index = first_slot()) {
    slots_[static_cast<std::size_t>(index)].nodes.take(nodes, pool_);
    close(index);
  }
  for (TimerNode* node : nodes) node->set_slot(TimerNode::kOut);
  size_ = 0;
}

void TimerWheel::prefetch(std::size_t index) const {
  if (index < nodes_.size()) __builtin_prefetch(&nodes_[index]->deadline_, 1);
}

// Where many are due they are due at about the same time, and are sorted by the two digits of that.
void TimerWheel::sort_keys() {
  if (std::is_sorted(keys_.begin(), keys_.end())) return;
  const auto [least, greatest] = std::minmax_element(keys_.begin(), keys_.end());
  const std::uint64_t base = *least >> kIndexBits;
  if (keys_.size() < kMany || (*greatest >> kIndexBits) - base >= kDigitEnd * kDigitEnd) {
    std::sort(keys_.begin(), keys_.end());
    return;
  }
  const auto low = [base](std::uint64_t key) {
    return ((key >> kIndexBits) - base) & (kDigitEnd - 1);
  };
  const auto high = [base](std::uint64_t key) {
    return ((key >> kIndexBits) - base) >> kDigitBits;
  };
  sort_by(low);
  sort_by(high);
}

template <typename Digit>
void TimerWheel::sort_by(Digit digit) {
  std::array<std::uint32_t, kDigitEnd> begin = {};
  for (std::uint64_t key : keys_) ++begin[digit(key)];
  std::exclusive_scan(begin.begin(), begin.end(), begin.begin(), std::uint32_t{0});
  scratch_.resize(keys_.size());
  for (std::uint64_t key : keys_) scratch_[begin[digit(key)]++] = key;
  keys_.swap(scratch_);
}

std::int64_t TimerWheel::next_deadline() {
  for (int index = first_slot(); index >= 0; index = first_slot()) {
    const Slot& slot = slots_[static_cast<std::size_t>(index)];
    if (slot.is_stale) refresh(index);
    if (!slot.nodes.empty()) return slot.earliest;
  }
  return kNever;
}

// Moves what was put off to where it belongs, and looks for the earliest of the rest.
void TimerWheel::refresh(int index) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  nodes_.clear();
  slot.nodes.list(nodes_);
  std::int64_t earliest = kNever;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    prefetch(i + kAhead);
    TimerNode& node = *nodes_[i];
    if (slot_of(node.deadline_) != index) {
      unlink(node);
      link(node);
    } else {
      earliest = std::min(earliest, node.deadline_);
    }
  }
  if (slot.nodes.empty()) return;
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
