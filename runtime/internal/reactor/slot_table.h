#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_SLOT_TABLE_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_SLOT_TABLE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/token.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/registration.h"

namespace epore::internal {

// From a token to its registration, so that a late event is recognised by arithmetic.
//
// A token is {slot: 32, generation: 32}. A slot has a generation that goes up when its registration
// is retired, so a token of an earlier tenant finds a generation that is not its own, for the next
// 2^32 tenants of that slot. The same check catches what every reactor without one gets wrong:
//
//   batch of one poll: [A readable, B readable]      (F01: two sockets of one client)
//   A's callback closes B; accept() reuses B's number at once; a new connection C has it
//   the event of B, read by descriptor, would go to C; read by token it is stale and dropped
//
// A slot passes through three hands:
//
//   acquire(): any thread, under the lock. The registration is stored before the generation that
//              makes it findable is (release), and only then put into the event queue, so that an
//              event that comes at once finds it whole (F04).
//   retire():  the registration's own order. Only turns the generation: from here on no lookup
//              finds it; one that found it before holds a plain pointer.
//   reclaim(): the poll thread between two polls, when no such pointer is left. Drops the slot's
//              reference and frees the slot.
class SlotTable {
 public:
  SlotTable() = default;
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;
  ~SlotTable();

  // False: all kMaxSlots slots are taken, 4,194,304.
  bool acquire(Registration& registration);

  void retire(const Registration& registration);

  // Poll thread only.
  Registration* find(Token token) const {
    const auto generation = static_cast<std::uint32_t>(token.value);
    const Slot* found = slot_of(token);
    if (found == nullptr) return nullptr;
    if (found->generation.load(std::memory_order_acquire) != generation) return nullptr;
    return found->registration;
  }

  // Poll thread only: for a find() that is to come, has its slot on the way to the cache, and when
  // that is there, what is in it. Where there are many connections, and the kernel has its own part
  // of each, neither is there otherwise.
  void prefetch_slot(Token token) const {
    if (const Slot* found = slot_of(token); found != nullptr) __builtin_prefetch(found);
  }
  void prefetch_registration(Token token) const {
    const char* const begin = reinterpret_cast<const char*>(find(token));
    if (begin == nullptr) return;
    for (std::size_t i = 0; i < kPrefetched; i += 64) __builtin_prefetch(begin + i, 1);
  }

  // How many were ever taken at a time.
  std::uint32_t used();

  // Poll thread only.
  void reclaim(Registration& registration);

  // Poll thread only: those that live now.
  std::vector<Ref<Registration>> live();

 private:
  static constexpr std::size_t kPrefetched = 384;  // bytes: a connection
  static constexpr std::uint32_t kChunk = 1024;
  static constexpr std::uint32_t kMaxSlots = 4096 * kChunk;

  struct Slot {
    // Odd: has a tenant that can be found. Even: free, or waiting to be reclaimed.
    std::atomic<std::uint32_t> generation{0};
    Registration* registration = nullptr;
  };
  using Chunk = std::array<Slot, kChunk>;

  // Of a token that may be none of this table's: then null.
  const Slot* slot_of(Token token) const {
    const std::uint32_t index = index_of(token);
    if (index >= kMaxSlots) return nullptr;
    const Chunk* chunk = chunks_[index / kChunk].load(std::memory_order_acquire);
    return chunk != nullptr ? &(*chunk)[index % kChunk] : nullptr;
  }

  Slot& slot(std::uint32_t index) const {
    return (*chunks_[index / kChunk].load(std::memory_order_acquire))[index % kChunk];
  }
  static std::uint32_t index_of(Token token) {
    return static_cast<std::uint32_t>(token.value >> 32);
  }

  std::array<std::atomic<Chunk*>, kMaxSlots / kChunk> chunks_ = {};  // written under mutex_

  absl::Mutex mutex_;
  std::uint32_t used_ ABSL_GUARDED_BY(mutex_) = 0;  // slots that were ever handed out
  std::vector<std::uint32_t> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_SLOT_TABLE_H_
