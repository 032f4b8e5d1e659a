#include "epore/runtime/internal/base/node_cache.h"

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/kernel/sanitizers.h"

namespace epore::internal {

namespace {

constexpr std::uint32_t kMagazine = 64;  // nodes
constexpr std::size_t kDepot = 64;       // magazines with nodes, and as many empty ones

struct Magazine {
  std::uint32_t used = 0;  // valid while no thread has loaded it
  void* nodes[kMagazine];
};

constexpr std::align_val_t kAlignment{NodeCache::kNodeSize};

void* new_node() { return ::operator new(NodeCache::kNodeSize, kAlignment); }

void delete_node(void* node) { ::operator delete(node, NodeCache::kNodeSize, kAlignment); }

void empty(Magazine& magazine) {
  while (magazine.used > 0) delete_node(magazine.nodes[--magazine.used]);
}

void delete_magazine(Magazine* magazine) {
  if (magazine == nullptr) return;
  empty(*magazine);
  delete magazine;
}

// The magazines that no thread has.
class Depot {
 public:
  static Depot& get() {
    static Depot& depot = *new Depot;  // never destroyed: threads may end after static objects
    return depot;
  }

  // Exchanges `given`, which is empty or null, for a magazine with nodes. Returns null, and leaves
  // `given` alone, if there is none.
  Magazine* take(Magazine* given) {
    Magazine* taken = nullptr;
    {
      const absl::MutexLock lock(&mutex_);
      if (filled_.empty()) return nullptr;
      taken = pop(filled_);
      given = put(given);
    }
    delete_magazine(given);
    return taken;
  }

  // Exchanges `given`, which has nodes or is null, for an empty magazine. Returns null, but takes
  // `given`, if there is no memory.
  Magazine* give(Magazine* given) {
    {
      const absl::MutexLock lock(&mutex_);
      given = put(given);
      if (given == nullptr && !empty_.empty()) return pop(empty_);
    }
    if (given == nullptr) return new (std::nothrow) Magazine;
    empty(*given);
    return given;
  }

  // Takes a magazine of a thread that ends.
  void leave(Magazine* given) {
    {
      const absl::MutexLock lock(&mutex_);
      given = put(given);
    }
    delete_magazine(given);
  }

 private:
  using Magazines = std::vector<Magazine*>;

  Depot() {
    filled_.reserve(kDepot);
    empty_.reserve(kDepot);
  }

  // Returns `given` if there is no room for it.
  [[nodiscard]] Magazine* put(Magazine* given) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (given == nullptr) return nullptr;
    Magazines& to = given->used != 0 ? filled_ : empty_;
    if (to.size() == kDepot) return given;
    to.push_back(given);
    return nullptr;
  }
  static Magazine* pop(Magazines& from) {
    Magazine* const last = from.back();
    from.pop_back();
    return last;
  }

  absl::Mutex mutex_;
  Magazines filled_ ABSL_GUARDED_BY(mutex_);
  Magazines empty_ ABSL_GUARDED_BY(mutex_);
};

// The magazines of this thread. There is no constructor and no destructor, so access needs no
// guard. The initial zeros say both "empty" and "full", so that the first call takes the slow path.
struct Loaded {
  void** nodes;        // of `magazine`
  std::uint32_t used;  // of `magazine`
  std::uint32_t room;
  Magazine* magazine;  // or null
  Magazine* spare;     // empty or full, or null

  void load(Magazine* next) {
    magazine = next;
    nodes = next->nodes;
    used = next->used;
    room = kMagazine - used;
  }
  Magazine* unload() {
    if (magazine != nullptr) magazine->used = used;
    used = room = 0;
    return std::exchange(magazine, nullptr);
  }
};
constinit thread_local Loaded loaded = {};

// Leaves the nodes of an ending thread to the depot. The first slow path of a thread makes it.
struct Leaver {
  ~Leaver() {
    Depot::get().leave(loaded.unload());  // later calls take the slow path
    Depot::get().leave(std::exchange(loaded.spare, nullptr));
    has_left = true;
  }
  static constinit thread_local bool has_left;
};
constinit thread_local bool Leaver::has_left = false;
thread_local Leaver leaver;

bool is_empty(const Magazine* magazine) { return magazine == nullptr || magazine->used == 0; }

void* allocate_slowly() {
  if (Leaver::has_left) return new_node();
  [[maybe_unused]] Leaver* const made = &leaver;
  if (is_empty(loaded.spare)) {
    Magazine* const filled = Depot::get().take(loaded.spare);
    if (filled == nullptr) return new_node();
    loaded.spare = filled;
  }
  Magazine* const emptied = loaded.unload();
  loaded.load(loaded.spare);
  loaded.spare = emptied;
  ++loaded.room;
  return loaded.nodes[--loaded.used];
}

void free_slowly(void* node) {
  if (Leaver::has_left) return delete_node(node);
  [[maybe_unused]] Leaver* const made = &leaver;
  if (loaded.spare == nullptr || loaded.spare->used != 0) {
    loaded.spare = Depot::get().give(loaded.spare);
    if (loaded.spare == nullptr) return delete_node(node);
  }
  Magazine* const filled = loaded.unload();
  loaded.load(loaded.spare);
  loaded.spare = filled;
  --loaded.room;
  loaded.nodes[loaded.used++] = node;
}

}  // namespace

void* NodeCache::allocate(std::size_t size) {
  if (kHasAddressSanitizer || size > kNodeSize) [[unlikely]]
    return ::operator new(size);
  if (loaded.used == 0) [[unlikely]]
    return allocate_slowly();
  ++loaded.room;
  return loaded.nodes[--loaded.used];
}

void NodeCache::free(void* memory, std::size_t size) {
  if (kHasAddressSanitizer || size > kNodeSize) [[unlikely]]
    return ::operator delete(memory, size);
  if (loaded.room == 0) [[unlikely]]
    return free_slowly(memory);
  --loaded.room;
  loaded.nodes[loaded.used++] = memory;
}

}  // namespace epore::internal
