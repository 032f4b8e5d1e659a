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
  for (const std::ptrdiff_t offset : {-32, 32, 71}) __builtin_prefetch(at + offset, 1);
}

}  // namespace

void DueList::begin(std::int64_t now) {
  added_.clear();
  ordered_.clear();
  popped_ = 0;
  keys_.clear();
  begin_ = now - kSpan;
  has_earlier_ = false;
}

void DueList::add(TimerNode& node) {
  has_earlier_ |= node.deadline_ < begin_;
  const std::uint64_t time =
      static_cast<std::uint64_t>(node.deadline_) - static_cast<std::uint64_t>(begin_);
  keys_.push_back(key_of(time, added_.size()));
  added_.push_back(&node);
}

void DueList::sort() {
  if (has_earlier_) {
    std::sort(keys_.begin(), keys_.end(), [this](std::uint64_t x, std::uint64_t y) {
      const std::int64_t of_x = added_[index_of(x)]->deadline_;
      const std::int64_t of_y = added_[index_of(y)]->deadline_;
      return of_x != of_y ? of_x < of_y : index_of(x) < index_of(y);
    });
  } else {
    sort_keys();
  }
  // Not where they are popped: a callback's locked instructions would wait for each of these loads.
  ordered_.reserve(keys_.size());
  for (std::uint64_t key : keys_) ordered_.push_back(added_[index_of(key)]);
}

// Where many are due they are due at about the same time, and are sorted by the two digits of that.
void DueList::sort_keys() {
  if (std::is_sorted(keys_.begin(), keys_.end())) return;
  const auto [least, greatest] = std::minmax_element(keys_.begin(), keys_.end());
  const std::uint64_t base = *least >> kIndexBits;
  if (keys_.size() < kMany || (*greatest >> kIndexBits) - base >= kDigitEnd * kDigitEnd) {
    std::sort(keys_.begin(), keys_.end());
    return;
  }
  sort_by([base](std::uint64_t key) { return ((key >> kIndexBits) - base) & (kDigitEnd - 1); });
  sort_by([base](std::uint64_t key) { return ((key >> kIndexBits) - base) >> kDigitBits; });
}

template <typename Digit>
void DueList::sort_by(Digit digit) {
  std::array<std::uint32_t, kDigitEnd> begin = {};
  for (std::uint64_t key : keys_) ++begin[digit(key)];
  std::exclusive_scan(begin.begin(), begin.end(), begin.begin(), std::uint32_t{0});
  scratch_.resize(keys_.size());
  for (std::uint64_t key : keys_) scratch_[begin[digit(key)]++] = key;
  keys_.swap(scratch_);
}

TimerNode* DueList::pop() {
  if (size() == 0) return nullptr;
  if (size() > kAhead) prefetch_around(ordered_[popped_ + kAhead]);
  return ordered_[popped_++];
}

}  // namespace epore::internal
