#ifndef EPORE_POLL_KERNEL_THREAD_COUNTERS_H_
#define EPORE_POLL_KERNEL_THREAD_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace epore::internal {

// The number of threads that can count without a locked instruction; the rest share one shard.
inline constexpr std::size_t kThreadSlots = 128;

inline constexpr std::size_t kUnknownThreadSlot = kThreadSlots + 1;

// A plain word, so that the fast path is one read of thread-local memory without a guard.
inline constinit thread_local std::size_t this_thread_slot = kUnknownThreadSlot;

std::size_t take_thread_slot();

// This thread's slot: below kThreadSlots it is nobody else's for as long as the thread lives, equal
// to kThreadSlots when all are taken (or the thread is ending).
inline std::size_t thread_slot() {
  if (this_thread_slot == kUnknownThreadSlot) this_thread_slot = take_thread_slot();
  return this_thread_slot;
}

// N monotonic counters that any thread adds to and any thread reads.
//
// Adding is a load and a store to a shard that the thread has for itself: no locked instruction, no
// shared cache line. Reading sums the shards; it may miss additions that are being made, never
// loses one. A slot passes from an ended thread to a new one under a lock, so that the new owner
// sees the old one's stores; that makes the single-writer rule sound.
template <std::size_t N>
class ThreadCounters {
 public:
  ThreadCounters() = default;
  ThreadCounters(const ThreadCounters&) = delete;
  ThreadCounters& operator=(const ThreadCounters&) = delete;
  ~ThreadCounters() {
    for (std::atomic<Shard*>& shard : shards_) delete shard.load(std::memory_order_acquire);
  }

  void add(std::size_t counter, std::uint64_t n = 1) {
    const std::size_t slot = this_thread_slot;
    Shard* const shard =
        slot < kThreadSlots ? shards_[slot].load(std::memory_order_acquire) : nullptr;
    if (shard != nullptr) [[likely]] {
      add_to((*shard)[counter], n);
    } else {
      add_slowly(counter, n);
    }
  }

  std::uint64_t sum(std::size_t counter) const {
    std::uint64_t total = overflow_[counter].load(std::memory_order_relaxed);
    for (const std::atomic<Shard*>& pointer : shards_) {
      const Shard* shard = pointer.load(std::memory_order_acquire);
      if (shard != nullptr) total += (*shard)[counter].load(std::memory_order_relaxed);
    }
    return total;
  }

 private:
  using Cells = std::array<std::atomic<std::uint64_t>, N>;
  struct alignas(64) Shard : Cells {};

  static void add_to(std::atomic<std::uint64_t>& cell, std::uint64_t n) {
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  // A thread's first time, or one that has no shard for itself. Not inlined, for the sake of the
  // code around it.
  [[gnu::noinline, gnu::cold]] void add_slowly(std::size_t counter, std::uint64_t n) {
    const std::size_t slot = thread_slot();
    if (slot < kThreadSlots) {
      add_to(own_shard(slot)[counter], n);
    } else {
      overflow_[counter].fetch_add(n, std::memory_order_relaxed);
    }
  }

  Shard& own_shard(std::size_t slot) {
    Shard* shard = shards_[slot].load(std::memory_order_acquire);
    if (shard == nullptr) {
      shard = new Shard();
      shards_[slot].store(shard, std::memory_order_release);
    }
    return *shard;
  }

  std::array<std::atomic<Shard*>, kThreadSlots> shards_ = {};
  Cells overflow_ = {};
};

}  // namespace epore::internal

#endif  // EPORE_POLL_KERNEL_THREAD_COUNTERS_H_
