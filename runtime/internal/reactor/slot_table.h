#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_SLOT_TABLE_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_SLOT_TABLE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/token.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/registration.h"

namespace epore::internal {

// A SlotTable maps a token to its registration, so that a late event is recognised by arithmetic.
//
// A token is {slot: 32, generation: 32}. The generation of a slot goes up by one when a
// registration gets the slot, and again when the registration ends. A token of an earlier tenant
// therefore has another generation, for the next 2^31 tenants. The race that this is for:
//
//   one poll returns [A readable, B readable]
//   A's callback closes B; accept() gets B's number again, for a new connection C
//   the event of B, found by descriptor, would go to C; found by token, it is stale and is dropped
//
// A slot passes through three hands:
//
//   acquire(): any thread, under the lock. Stores the registration, then the generation (release).
//              The descriptor goes into the event queue after that, so even an event that comes at
//              once finds the registration.
//   retire():  the registration's own order. Increments the generation (release), so that no lookup
//              finds the registration any more. An earlier lookup still holds a plain pointer.
//   reclaim(): the poll thread between two polls, when no such pointer is left. Drops the slot's
//              reference and frees the slot.
//
// find() loads the generation with acquire and compares.
//
// Other threads look at the registrations with share_connections(), under the lock. The race:
// reclaim() drops the slot's reference meanwhile. It clears the slot's pointer under the lock and
// drops the reference after that, so whoever finds a pointer under the lock may add a reference.
class SlotTable {
 public:
  SlotTable() = default;
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;
  ~SlotTable();

  // Gives `registration` a slot and a token. `now` is what share_connections() says as `since`.
  // False: all kMaxSlots (4,194,304) slots are taken.
  bool acquire(Registration& registration, std::int64_t now = 0);

  void retire(const Registration& registration);

  // Poll thread only.
  Registration* find(Token token) const {
    const auto generation = static_cast<std::uint32_t>(token.value);
    const Slot* found = slot_of(token);
    if (found == nullptr) return nullptr;
    if (found->generation.load(std::memory_order_acquire) != generation) return nullptr;
    return found->registration;
  }

  // How many were ever taken at a time.
  std::uint32_t used();

  // Poll thread only.
  void reclaim(Registration& registration);

  // Poll thread only: calls function(Registration&) for each registration that is not retired.
  // Allocates nothing.
  template <typename Function>
  void for_each_live(Function function) {
    const std::uint32_t end = used();
    for (std::uint32_t index = 0; index < end; ++index) {
      const Slot& one = slot(index);
      if (one.generation.load(std::memory_order_acquire) % 2 == 0) continue;
      const Ref<Registration> kept = Ref<Registration>::share(one.registration);
      function(*kept);
    }
  }

  // What a slot holds. `since` is the time of acquire() in ticks().
  struct Live {
    Ref<Registration> registration;
    std::uint32_t since = 0;
  };

  // A time in units of 2^26 ns (67 ms), modulo 2^32 of them, which are nine years.
  static constexpr int kTickBits = 26;
  static std::uint32_t ticks(std::int64_t now) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(now) >> kTickBits);
  }

  // The slots that share_connections() looks at with the lock held. It holds up acquire() that
  // long.
  static constexpr std::size_t kAtOnce = 64;

  // Any thread: puts the connections that are not retired into `found`, of at most kAtOnce slots
  // from `first` on, and their number into `count`. Returns the slot to go on with; 0: no more.
  // `found` has no references yet: dropping one under the lock might destroy a registration.
  std::uint32_t share_connections(std::uint32_t first, std::span<Live, kAtOnce> found,
                                  std::size_t& count);

 private:
  static constexpr std::uint32_t kChunk = 1024;
  static constexpr std::uint32_t kMaxSlots = 4096 * kChunk;

  struct Slot {
    // Odd: a registration has the slot. Even: the slot is free, or waits for reclaim().
    std::atomic<std::uint32_t> generation{0};
    std::uint32_t since = 0;               // under mutex_
    Registration* registration = nullptr;  // stored under mutex_
  };
  using Chunk = std::array<Slot, kChunk>;

  // Returns null if `token` is of no slot of this table.
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

  // The slots, in chunks that never move. acquire() stores under mutex_ (release), any thread loads
  // (acquire). The race: a lookup of a token whose chunk is being made; it sees null, or a chunk of
  // zeros.
  std::array<std::atomic<Chunk*>, kMaxSlots / kChunk> chunks_ = {};

  absl::Mutex mutex_;
  std::uint32_t used_ ABSL_GUARDED_BY(mutex_) = 0;  // the slots that were ever used
  std::vector<std::uint32_t> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_SLOT_TABLE_H_
