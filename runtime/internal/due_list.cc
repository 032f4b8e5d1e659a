#include "runtime/internal/due_list.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace epore::internal {
namespace {

constexpr int kIndexBits = 32;
constexpr std::int64_t kSpan = (std::int64_t{1} << 32) - 1;

std::uint64_t key_of(std::uint64_t time, std::size_t index) { return time << kIndexBits | index; }
std::size_t index_of(std::uint64_t key) { return key & ((std::uint64_t{1} << kIndexBits) - 1); }

// Of so many keys sorting by digits is faster.
constexpr std::size_t kMany = 256;
constexpr int kDigitBits = 11;
constexpr std::uint64_t kDigitEnd = std::uint64_t{1} << kDigitBits;

// Nodes are seldom in the cache when they are due: so many before it, the next one to be popped is
// prefetched, with what a RuntimeTimer has around it.
constexpr std::size_t kAhead = 8;

void prefetch_around(const TimerNode* node) {
  const char* const at = reinterpret_cast<const char*>(node);
  for (const std::ptrdiff_t offset : {0, 79}) __builtin_prefetch(at + offset, 1);
}

}  // namespace

void DueList::begin(std::int64_t now) {
  added_.clear();
  count_ = popped_ = 0;
  keys_.clear();
  begin_ = now - kSpan;
  earlier_.clear();
}

void DueList::add(TimerNode& node, std::int64_t deadline) {
  if (deadline < begin_) [[unlikely]] {
    earlier_.emplace_back(deadline, added_.size());
  } else {
    keys_.push_back(key_of(static_cast<std::uint64_t>(deadline - begin_), added_.size()));
  }
  added_.push_back(&node);
}

void DueList::sort() {
  count_ = added_.size();
  if (ordered_.size() < count_) ordered_.resize(count_);
  std::sort(earlier_.begin(), earlier_.end());
  TimerNode** at = ordered_.data();
  for (const auto& [deadline, index] : earlier_) *at++ = added_[index];
  if (!std::is_sorted(keys_.begin(), keys_.end())) {
    if (keys_.size() >= kMany && order_by_digits(at)) return;
    std::sort(keys_.begin(), keys_.end());
  }
  // Not where they are popped: a callback's locked instructions would wait for each of these loads.
  for (std::uint64_t key : keys_) *at++ = added_[index_of(key)];
}

// Where many are due they are due at about the same time, and two digits tell them apart. False:
// these are not.
bool DueList::order_by_digits(TimerNode** to) {
  const auto [least, greatest] = std::minmax_element(keys_.begin(), keys_.end());
  const std::uint64_t base = *least >> kIndexBits;
  const std::uint64_t range = (*greatest >> kIndexBits) - base;
  if (range >= kDigitEnd * kDigitEnd) return false;
  const auto low = [base](std::uint64_t key) {
    return ((key >> kIndexBits) - base) & (kDigitEnd - 1);
  };
  const auto high = [base](std::uint64_t key) {
    return ((key >> kIndexBits) - base) >> kDigitBits;
  };
  std::array<std::uint32_t, kDigitEnd> begin_of_low = {};
  std::array<std::uint32_t, kDigitEnd> begin_of_high = {};
  for (std::uint64_t key : keys_) {
    ++begin_of_low[low(key)];
    ++begin_of_high[high(key)];
  }
  for (auto* begin : {&begin_of_low, &begin_of_high}) {
    std::exclusive_scan(begin->begin(), begin->end(), begin->begin(), std::uint32_t{0});
  }
  if (scratch_.size() < keys_.size()) scratch_.resize(keys_.size());
  for (std::uint64_t key : keys_) scratch_[begin_of_low[low(key)]++] = key;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    to[begin_of_high[high(scratch_[i])]++] = added_[index_of(scratch_[i])];
  }
  return true;
}

TimerNode* DueList::pop() {
  if (size() == 0) return nullptr;
  if (size() > kAhead) prefetch_around(ordered_[popped_ + kAhead]);
  return ordered_[popped_++];
}

}  // namespace epore::internal
