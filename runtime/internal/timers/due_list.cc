#include "epore/runtime/internal/timers/due_list.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace epore::internal {
namespace {

constexpr int kIndexBits = 32;
constexpr std::int64_t kSpan = (std::int64_t{1} << 32) - 1;

std::uint64_t key_of(std::uint64_t time, std::uint32_t index) { return time << kIndexBits | index; }
std::uint64_t time_of(std::uint64_t key) { return key >> kIndexBits; }
std::uint32_t index_of(std::uint64_t key) { return static_cast<std::uint32_t>(key); }

// Of so many keys sorting by digits is faster.
constexpr std::size_t kMany = 256;
constexpr int kDigitBits = 11;

}  // namespace

void DueList::begin(std::int64_t now) {
  blocks_.clear();
  count_ = popped_ = 0;
  keys_.clear();
  begin_ = now - kSpan;
  earlier_.clear();
}

void DueList::add(const TimerCell& cell) {
  const auto at = reinterpret_cast<std::uintptr_t>(&cell);
  const std::uintptr_t block = at & ~(kBlock - 1);
  if (blocks_.empty() || blocks_.back() != block) blocks_.push_back(block);
  const auto index = static_cast<std::uint32_t>((blocks_.size() - 1) << kPlaceBits |
                                                (at - block) / alignof(TimerCell));
  if (cell.deadline < begin_) [[unlikely]] {
    earlier_.emplace_back(cell.deadline, index);
  } else {
    keys_.push_back(key_of(static_cast<std::uint64_t>(cell.deadline - begin_), index));
  }
}

void DueList::sort() {
  count_ = earlier_.size() + keys_.size();
  if (ordered_.size() < count_) ordered_.resize(count_);
  const TimerCell** at = ordered_.data();
  std::sort(earlier_.begin(), earlier_.end());
  for (const auto& [deadline, index] : earlier_) *at++ = cell_at(index);
  if (!std::is_sorted(keys_.begin(), keys_.end())) {
    if (keys_.size() >= kMany && order_by_digits(at)) return;
    std::sort(keys_.begin(), keys_.end());
  }
  for (std::uint64_t key : keys_) *at++ = cell_at(index_of(key));
}

// Where many are due they are due at about the same time, and two digits tell them apart. False:
// these are not.
bool DueList::order_by_digits(const TimerCell** to) {
  const auto [least, greatest] = std::minmax_element(keys_.begin(), keys_.end());
  const std::uint64_t base = time_of(*least);
  const int bits = std::bit_width(time_of(*greatest) - base);
  if (bits > 2 * kDigitBits) return false;
  const int low_bits = (bits + 1) / 2;  // few values of either, as each fills a cache line
  const auto low = [&](std::uint64_t key) {
    return (time_of(key) - base) & ((std::uint64_t{1} << low_bits) - 1);
  };
  const auto high = [&](std::uint64_t key) { return (time_of(key) - base) >> low_bits; };
  using Counts = std::array<std::uint32_t, std::size_t{1} << kDigitBits>;
  Counts begin_of_low = {};
  Counts begin_of_high = {};
  for (std::uint64_t key : keys_) {
    ++begin_of_low[low(key)];
    ++begin_of_high[high(key)];
  }
  for (Counts* begin : {&begin_of_low, &begin_of_high}) {
    std::exclusive_scan(begin->begin(), begin->end(), begin->begin(), std::uint32_t{0});
  }
  if (scratch_.size() < keys_.size()) scratch_.resize(keys_.size());
  for (std::uint64_t key : keys_) scratch_[begin_of_low[low(key)]++] = key;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    to[begin_of_high[high(scratch_[i])]++] = cell_at(index_of(scratch_[i]));
  }
  return true;
}

}  // namespace epore::internal
