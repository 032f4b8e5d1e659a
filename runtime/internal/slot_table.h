#ifndef EPORE_RUNTIME_INTERNAL_SLOT_TABLE_H_
#define EPORE_RUNTIME_INTERNAL_SLOT_TABLE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "poll/token.h"
#include "runtime/internal/ref.h"
#include "runtime/internal/registration.h"

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
    const auto slot = static_cast<std::uint32_t>(token.value >> 32);
    const auto generation = static_cast<std::uint32_t>(token.value);
    if (slot >= kMaxSlots) return nullptr;
    const Chunk* chunk = chunks_[slot / kChunk].load(std::memory_order_acquire);
    if (chunk == nullptr) return nullptr;
    const Slot& found = (*chunk)[slot % kChunk];
    if (found.generation.load(std::memory_order_acquire) != generation) return nullptr;
    return found.registration;
  }

  // Poll thread only.
  void reclaim(Registration& registration);

  // Poll thread only: those that live now.
  std::vector<Ref<Registration>> live();

 private:
  static constexpr std::uint32_t kChunk = 1024;
  static constexpr std::uint32_t kMaxSlots = 4096 * kChunk;

  struct Slot {
    // Odd: has a tenant that can be found. Even: free, or waiting to be reclaimed.
    std::atomic<std::uint32_t> generation{0};
    Registration* registration = nullptr;
  };
  using Chunk = std::array<Slot, kChunk>;

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

#endif  // EPORE_RUNTIME_INTERNAL_SLOT_TABLE_H_
