#include "epore/runtime/internal/reactor/slot_table.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace epore::internal {

SlotTable::~SlotTable() {
  for (std::atomic<Chunk*>& pointer : chunks_) {
    Chunk* chunk = pointer.load(std::memory_order_acquire);
    if (chunk == nullptr) continue;
    for (Slot& slot : *chunk) {
      if (slot.registration != nullptr) slot.registration->drop_ref();
    }
    delete chunk;
  }
}

bool SlotTable::acquire(Registration& registration, std::int64_t now) {
  absl::MutexLock lock(&mutex_);
  std::uint32_t index;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    if (used_ == kMaxSlots) return false;
    std::atomic<Chunk*>& chunk = chunks_[used_ / kChunk];
    if (chunk.load(std::memory_order_relaxed) == nullptr) {
      free_.reserve((used_ / kChunk + 1) * kChunk);  // reclaim() must not allocate
      chunk.store(new Chunk(), std::memory_order_release);
    }
    index = used_++;
  }
  Slot& taken = slot(index);
  const std::uint32_t generation = taken.generation.load(std::memory_order_relaxed) + 1;
  registration.add_ref();
  registration.token_ = Token{std::uint64_t{index} << 32 | generation};
  taken.registration = &registration;
  taken.since = ticks(now);
  taken.generation.store(generation, std::memory_order_release);
  return true;
}

void SlotTable::retire(const Registration& registration) {
  Slot& retired = slot(index_of(registration.token()));
  retired.generation.fetch_add(1, std::memory_order_release);
}

void SlotTable::reclaim(Registration& registration) {
  const std::uint32_t index = index_of(registration.token());
  {
    absl::MutexLock lock(&mutex_);
    slot(index).registration = nullptr;
    free_.push_back(index);
  }
  registration.drop_ref();  // outside the lock, as it may destroy the registration
}

std::uint32_t SlotTable::share_connections(std::uint32_t first, std::span<Live, kAtOnce> found,
                                           std::size_t& count) {
  count = 0;
  const absl::MutexLock lock(&mutex_);
  const std::uint32_t end = std::min(used_, first + static_cast<std::uint32_t>(kAtOnce));
  for (std::uint32_t index = first; index < end; ++index) {
    const Slot& one = slot(index);
    if (one.generation.load(std::memory_order_acquire) % 2 == 0) continue;
    if (!one.registration->is_connection()) continue;  // the last reference is not dropped here
    found[count++] = {Ref<Registration>::share(one.registration), one.since};
  }
  return end < used_ ? end : 0;
}

std::uint32_t SlotTable::used() {
  absl::MutexLock lock(&mutex_);
  return used_;
}

}  // namespace epore::internal
