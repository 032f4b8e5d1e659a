#include "epore/runtime/internal/base/frame_cache.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/no_destructor.h"
#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/kernel/sanitizers.h"

namespace epore::internal {

namespace {

constexpr std::uint32_t kMagazineBlocks = 64;
constexpr std::size_t kMagazineBytes = 16 * 1024;
constexpr std::size_t kDepotBytes = 256 * 1024;  // for each class

// The classes: 0 has 64 bytes, 1 has 120, 15 has 1,016, 16 has 1,280, and 27 has 4,096. Those from
// 1 to 15 come in slabs.
constexpr std::size_t kFineLimit = 1016;
constexpr std::size_t kFirstCoarse = 16;
constexpr std::size_t kClasses = 28;

// kClasses or more for a size that has no class. Also for 0, which wraps around.
constexpr std::size_t class_of(std::size_t size) {
  if (size - 1 < kFineLimit) [[likely]]
    return size <= 64 ? 0 : (size + 7) / 64;
  return std::max(kFirstCoarse, (size - 1) / 256 + 12);
}

// With the 8 bytes before a block of a slab.
constexpr std::size_t block_size_of(std::size_t size_class) {
  return size_class < kFirstCoarse ? (size_class + 1) * 64 : (size_class - 11) * 256;
}

constexpr bool is_in_slab(std::size_t size_class) {
  return size_class > 0 && size_class < kFirstCoarse;
}

static_assert(class_of(1) == 0 && class_of(64) == 0 && class_of(65) == 1 && class_of(120) == 1);
static_assert(class_of(121) == 2 && class_of(1016) == 15 && class_of(1017) == 16);
static_assert(block_size_of(class_of(1280)) == 1280 && class_of(1281) == 17);
static_assert(class_of(4096) == kClasses - 1 && class_of(4097) == kClasses && class_of(0) > 99);

constexpr std::align_val_t kAlignment{FrameCache::kCacheLine};

void* new_block(std::size_t size) { return ::operator new(size, kAlignment); }

void delete_block(void* block, std::size_t size) { ::operator delete(block, size, kAlignment); }

// Sixteen blocks of a class. The 8 bytes before each of them, which belong to the block before it
// or to the header, say where the slab is. Under the mutex of the depot.
struct Slab {
  static constexpr std::uint32_t kBlocks = 16;
  static constexpr std::size_t kHeader = FrameCache::kCacheLine;

  static std::size_t size_of(std::size_t block_size) { return kHeader + kBlocks * block_size; }

  // The slab of a block.
  static Slab*& of(void* block) { return static_cast<Slab**>(block)[-1]; }

  bool is_full() const { return used == kBlocks; }

  void* take(std::size_t block_size) {
    ++used;
    if (freed != nullptr) return std::exchange(freed, *static_cast<void**>(freed));
    void* const block = reinterpret_cast<std::byte*>(this) + kHeader + fresh++ * block_size;
    of(block) = this;
    return block;
  }

  void give(void* block) {
    --used;
    *static_cast<void**>(block) = std::exchange(freed, block);
  }

  Slab* next = nullptr;  // of those that are full as well, or are not
  Slab* previous = nullptr;
  void* freed = nullptr;    // blocks that came back; each begins with the next one
  std::uint32_t used = 0;   // blocks that somebody has
  std::uint32_t fresh = 0;  // the first block that nobody has ever had
};
static_assert(sizeof(Slab) + sizeof(Slab*) <= Slab::kHeader);

void* new_block_of(std::size_t size_class);
void delete_block_of(std::size_t size_class, void* block);

struct Magazine {
  explicit Magazine(std::size_t size_class)
      : size_class(size_class),
        capacity(std::min(kMagazineBlocks,
                          static_cast<std::uint32_t>(kMagazineBytes / block_size_of(size_class)))) {
  }

  const std::size_t size_class;
  const std::uint32_t capacity;
  std::uint32_t used = 0;    // valid while no thread has loaded it
  Magazine* next = nullptr;  // in the depot
  void* blocks[kMagazineBlocks];
};

void empty(Magazine& magazine) {
  while (magazine.used > 0) delete_block_of(magazine.size_class, magazine.blocks[--magazine.used]);
}

void delete_magazine(Magazine* magazine) {
  if (magazine == nullptr) return;
  empty(*magazine);
  delete magazine;
}

// The magazines of one class that no thread has, and its slabs. There are as many empty magazines
// as ones with blocks.
class Depot {
 public:
  static Depot& of(std::size_t size_class) {
    // Never destroyed: threads may end after static objects.
    static absl::NoDestructor<std::array<Depot, kClasses>> depots;
    return (*depots)[size_class];
  }

  // Exchanges `given`, which is empty or null, for a magazine with blocks. Returns null, and leaves
  // `given` alone, if there is none.
  Magazine* take(Magazine* given) {
    Magazine* taken = nullptr;
    {
      const absl::MutexLock lock(&mutex_);
      taken = filled_.pop();
      if (taken == nullptr) return nullptr;
      given = put(given);
    }
    delete_magazine(given);
    return taken;
  }

  // Exchanges `given`, which has blocks or is null, for an empty magazine for blocks of
  // `size_class`. Returns null, but takes `given`, if there is no memory.
  Magazine* give(Magazine* given, std::size_t size_class) {
    {
      const absl::MutexLock lock(&mutex_);
      given = put(given);
      if (given == nullptr) {
        Magazine* const taken = empty_.pop();
        if (taken != nullptr) return taken;
      }
    }
    if (given == nullptr) return new (std::nothrow) Magazine(size_class);
    empty(*given);
    return given;
  }

  // Takes a magazine of a thread that ends.
  void leave(Magazine* given) {
    if (given == nullptr) return;
    {
      const absl::MutexLock lock(&mutex_);
      given = put(given);
    }
    delete_magazine(given);
  }

  // Throws std::bad_alloc.
  void* new_block(std::size_t block_size) {
    {
      const absl::MutexLock lock(&mutex_);
      if (open_ != nullptr) return take_block(block_size);
    }
    void* const memory = internal::new_block(Slab::size_of(block_size));
    const absl::MutexLock lock(&mutex_);
    link(*new (memory) Slab, open_);
    return take_block(block_size);
  }

  void delete_block(void* block, std::size_t block_size) {
    Slab& slab = *Slab::of(block);
    {
      const absl::MutexLock lock(&mutex_);
      if (slab.is_full()) {
        unlink(slab, full_);
        link(slab, open_);
      }
      slab.give(block);
      if (slab.used != 0) return;
      unlink(slab, open_);
    }
    internal::delete_block(&slab, Slab::size_of(block_size));
  }

 private:
  struct Stack {
    Magazine* top = nullptr;
    std::size_t size = 0;

    void push(Magazine* magazine) {
      magazine->next = std::exchange(top, magazine);
      ++size;
    }
    Magazine* pop() {
      if (top == nullptr) return nullptr;
      --size;
      return std::exchange(top, top->next);
    }
  };

  // Returns `given` if there is no room for it.
  [[nodiscard]] Magazine* put(Magazine* given) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (given == nullptr) return nullptr;
    Stack& to = given->used != 0 ? filled_ : empty_;
    const std::size_t bytes = block_size_of(given->size_class) * given->capacity;
    if (to.size == kDepotBytes / bytes) return given;
    to.push(given);
    return nullptr;
  }

  void* take_block(std::size_t block_size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Slab& slab = *open_;
    void* const block = slab.take(block_size);
    if (slab.is_full()) {
      unlink(slab, open_);
      link(slab, full_);
    }
    return block;
  }

  static void link(Slab& slab, Slab*& list) {
    slab.previous = nullptr;
    slab.next = list;
    if (list != nullptr) list->previous = &slab;
    list = &slab;
  }

  static void unlink(Slab& slab, Slab*& list) {
    (slab.previous != nullptr ? slab.previous->next : list) = slab.next;
    if (slab.next != nullptr) slab.next->previous = slab.previous;
  }

  absl::Mutex mutex_;
  Stack filled_ ABSL_GUARDED_BY(mutex_);
  Stack empty_ ABSL_GUARDED_BY(mutex_);
  Slab* open_ ABSL_GUARDED_BY(mutex_) = nullptr;  // those that have room

  // The others. Nobody looks at them, but for valgrind: a block whose begin no pointer names is
  // "possibly lost" to it.
  Slab* full_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

void* new_block_of(std::size_t size_class) {
  const std::size_t size = block_size_of(size_class);
  return is_in_slab(size_class) ? Depot::of(size_class).new_block(size) : new_block(size);
}

void delete_block_of(std::size_t size_class, void* block) {
  const std::size_t size = block_size_of(size_class);
  if (!is_in_slab(size_class)) return delete_block(block, size);
  Depot::of(size_class).delete_block(block, size);
}

// The magazines of this thread for one class. There is no constructor and no destructor, so access
// needs no guard. Without a magazine the zeros say both "empty" and "full", so that the next call
// takes the slow path.
struct Loaded {
  void** blocks;       // of `magazine`
  std::uint32_t used;  // of `magazine`
  std::uint32_t capacity;
  Magazine* magazine;  // or null
  Magazine* spare;     // empty or full, or null

  bool is_empty() const { return used == 0; }
  bool is_full() const { return used == capacity; }
  void* pop() { return blocks[--used]; }
  void push(void* block) { blocks[used++] = block; }
  void load(Magazine* next) {
    magazine = next;
    blocks = next->blocks;
    used = next->used;
    capacity = next->capacity;
  }
  Magazine* unload() {
    if (magazine != nullptr) magazine->used = used;
    used = capacity = 0;
    return std::exchange(magazine, nullptr);
  }
};
constinit thread_local Loaded loaded[kClasses] = {};

// Leaves the blocks of an ending thread to the depot. The first slow path of a thread makes it.
struct Leaver {
  ~Leaver() {
    for (std::size_t c = 0; c < kClasses; ++c) {
      Depot::of(c).leave(loaded[c].unload());  // later calls take the slow path
      Depot::of(c).leave(std::exchange(loaded[c].spare, nullptr));
    }
    has_left = true;
  }
  static constinit thread_local bool has_left;
};
constinit thread_local bool Leaver::has_left = false;
thread_local Leaver leaver;

bool has_none(const Magazine* magazine) { return magazine == nullptr || magazine->used == 0; }

// Inlined, the slow paths would make the quick ones save registers.
ABSL_ATTRIBUTE_NOINLINE void* allocate_slowly(std::size_t size_class) {
  if (Leaver::has_left) return new_block_of(size_class);
  [[maybe_unused]] Leaver* const made = &leaver;
  Loaded& mine = loaded[size_class];
  if (has_none(mine.spare)) {
    Magazine* const filled = Depot::of(size_class).take(mine.spare);
    if (filled == nullptr) return new_block_of(size_class);
    mine.spare = filled;
  }
  Magazine* const emptied = mine.unload();
  mine.load(mine.spare);
  mine.spare = emptied;
  return mine.pop();
}

ABSL_ATTRIBUTE_NOINLINE void free_slowly(void* block, std::size_t size_class) {
  if (Leaver::has_left) return delete_block_of(size_class, block);
  [[maybe_unused]] Leaver* const made = &leaver;
  Loaded& mine = loaded[size_class];
  if (mine.spare == nullptr || mine.spare->used != 0) {
    mine.spare = Depot::of(size_class).give(mine.spare, size_class);
    if (mine.spare == nullptr) return delete_block_of(size_class, block);
  }
  Magazine* const filled = mine.unload();
  mine.load(mine.spare);
  mine.spare = filled;
  mine.push(block);
}

}  // namespace

void* FrameCache::allocate(std::size_t size) {
  const std::size_t size_class = class_of(size);
  if (kHasAddressSanitizer || size_class >= kClasses) [[unlikely]]
    return new_block(size);
  Loaded& mine = loaded[size_class];
  if (mine.is_empty()) [[unlikely]]
    return allocate_slowly(size_class);
  return mine.pop();
}

void* FrameCache::try_allocate(std::size_t size) noexcept {
  try {
    return allocate(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void FrameCache::free(void* memory, std::size_t size) noexcept {
  const std::size_t size_class = class_of(size);
  if (kHasAddressSanitizer || size_class >= kClasses) [[unlikely]]
    return delete_block(memory, size);
  Loaded& mine = loaded[size_class];
  if (mine.is_full()) [[unlikely]]
    return free_slowly(memory, size_class);
  mine.push(memory);
}

}  // namespace epore::internal
