#ifndef EPORE_POLL_KERNEL_THREAD_COUNTERS_H_
#define EPORE_POLL_KERNEL_THREAD_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

namespace epore::internal {

// The number of threads that have a shard of their own. All other threads share one shard.
inline constexpr std::size_t kThreadSlots = 128;

inline constexpr std::size_t kUnknownThreadSlot = kThreadSlots + 1;

// Constant initialisation makes reading it one load: there is no guard to check.
inline constinit thread_local std::size_t this_thread_slot = kUnknownThreadSlot;

std::size_t take_thread_slot();

// Returns this thread's slot. A slot below kThreadSlots belongs to this thread until it ends. The
// value kThreadSlots means that all slots are taken, or that the thread is ending.
inline std::size_t thread_slot() {
  if (this_thread_slot == kUnknownThreadSlot) this_thread_slot = take_thread_slot();
  return this_thread_slot;
}

// N counters that any thread adds to and any thread reads.
//
// Each thread adds to a shard of its own, with a plain load and a store. There is no locked
// instruction and no shared cache line. sum() adds the shards up. It may miss an addition that is
// being made at that moment, but no addition is lost.
//
// Only one thread writes to a shard at a time. When a thread ends, its slot goes to a new thread.
// This happens under a lock, so the new thread sees the stores of the old one.
template <std::size_t N>
class ThreadCounters {
 public:
  ThreadCounters() = default;
  ThreadCounters(const ThreadCounters&) = delete;
  ThreadCounters& operator=(const ThreadCounters&) = delete;
  ~ThreadCounters() {
    for (std::atomic<Shard*>& shard : shards_) delete shard.load(std::memory_order_acquire);
  }

  // Returns the sum of the shard that this thread adds to, which most threads have for themselves.
  std::uint64_t add(std::size_t counter, std::uint64_t n = 1) {
    Shard* const shard = shards_[this_thread_slot].load(std::memory_order_acquire);
    if (shard != nullptr) [[likely]]
      return add_to((*shard)[counter], n);
    return add_slowly(counter, n);
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

  static std::uint64_t add_to(std::atomic<std::uint64_t>& cell, std::uint64_t n) {
    const std::uint64_t sum = cell.load(std::memory_order_relaxed) + n;
    cell.store(sum, std::memory_order_relaxed);
    return sum;
  }

  // The first addition of a thread, and all additions of a thread without a shard. It is kept out
  // of line so that add() stays small.
  [[gnu::noinline, gnu::cold]] std::uint64_t add_slowly(std::size_t counter, std::uint64_t n) {
    const std::size_t slot = thread_slot();
    Shard* const shard = slot < kThreadSlots ? own_shard(slot) : nullptr;
    if (shard != nullptr) return add_to((*shard)[counter], n);
    return overflow_[counter].fetch_add(n, std::memory_order_relaxed) + n;
  }

  // Returns null if there is no memory, because counting must not make a call fail.
  Shard* own_shard(std::size_t slot) {
    Shard* shard = shards_[slot].load(std::memory_order_acquire);
    if (shard == nullptr) {
      shard = new (std::nothrow) Shard();
      shards_[slot].store(shard, std::memory_order_release);
    }
    return shard;
  }

  // The shards by slot, null until the first addition. The slot's thread stores (release), sum()
  // loads (acquire), so that a reader sees a shard of zeros. The cells are relaxed: numbers only.
  // Two slots belong to no thread, and stay null: kThreadSlots and kUnknownThreadSlot.
  std::array<std::atomic<Shard*>, kUnknownThreadSlot + 1> shards_ = {};

  Cells overflow_ = {};  // the shared shard: fetch_add, relaxed
};

}  // namespace epore::internal

#endif  // EPORE_POLL_KERNEL_THREAD_COUNTERS_H_
