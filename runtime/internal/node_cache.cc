#include "runtime/internal/node_cache.h"

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "poll/sys/sanitizers.h"

namespace epore::internal {

namespace {

constexpr std::uint32_t kMagazine = 64;  // nodes
constexpr std::size_t kDepot = 64;       // magazines

struct Node {
  Node* next;
};

constexpr std::align_val_t kAlignment{NodeCache::kNodeSize};

Node* new_node() { return static_cast<Node*>(::operator new(NodeCache::kNodeSize, kAlignment)); }

void delete_node(void* node) { ::operator delete(node, NodeCache::kNodeSize, kAlignment); }

void free_all(Node* chain) {
  while (chain != nullptr) {
    delete_node(std::exchange(chain, chain->next));
  }
}

class Depot {
 public:
  static Depot& get() {
    static Depot& depot = *new Depot;  // threads may end after everything static has
    return depot;
  }

  void give(Node* chain) {
    if (chain == nullptr) return;
    {
      const absl::MutexLock lock(&mutex_);
      if (chains_.size() < kDepot) {
        chains_.push_back(chain);
        return;
      }
    }
    free_all(chain);
  }

  Node* take() {
    const absl::MutexLock lock(&mutex_);
    if (chains_.empty()) return nullptr;
    Node* const chain = chains_.back();
    chains_.pop_back();
    return chain;
  }

 private:
  Depot() { chains_.reserve(kDepot); }

  absl::Mutex mutex_;
  std::vector<Node*> chains_ ABSL_GUARDED_BY(mutex_);
};

// No constructor and no destructor, so that the fast path is an offset to a register. It begins as
// if its magazine were full, so that the first call of either kind takes the slow path.
struct Magazines {
  Node* current;
  std::uint32_t room;  // of `current`
  Node* full;          // a whole one, or null
};
constinit thread_local Magazines magazines = {};

// Made when a thread's first slow path names it; leaves the thread's nodes to others.
struct Leaver {
  ~Leaver() {
    Depot::get().give(std::exchange(magazines.current, nullptr));
    Depot::get().give(std::exchange(magazines.full, nullptr));
    magazines.room = 0;  // what is freed after this, by other destructors, takes the slow path
    has_left = true;
  }
  static constinit thread_local bool has_left;
};
constinit thread_local bool Leaver::has_left = false;
thread_local Leaver leaver;

Node* allocate_slowly() {
  if (Leaver::has_left) return new_node();
  [[maybe_unused]] Leaver* const made = &leaver;
  Node* chain = std::exchange(magazines.full, nullptr);
  if (chain == nullptr) chain = Depot::get().take();
  if (chain == nullptr) {
    magazines.room = kMagazine;
    return new_node();
  }
  // One that a thread has left when it ended may be shorter; it counts as whole until it is empty.
  magazines.current = chain->next;
  magazines.room = 1;
  return chain;
}

void free_slowly(Node* node) {
  if (Leaver::has_left) return delete_node(node);
  [[maybe_unused]] Leaver* const made = &leaver;
  if (magazines.current != nullptr) {
    Depot::get().give(std::exchange(magazines.full, magazines.current));
  }
  node->next = nullptr;
  magazines.current = node;
  magazines.room = kMagazine - 1;
}

}  // namespace

void* NodeCache::allocate(std::size_t size) {
  if (kHasAddressSanitizer || size > kNodeSize) [[unlikely]]
    return ::operator new(size);
  Node* const node = magazines.current;
  if (node == nullptr) return allocate_slowly();
  magazines.current = node->next;
  __builtin_prefetch(node->next, 1);  // another processor may have it still
  ++magazines.room;
  return node;
}

void NodeCache::free(void* memory, std::size_t size) {
  if (kHasAddressSanitizer || size > kNodeSize) [[unlikely]]
    return ::operator delete(memory, size);
  Node* const node = static_cast<Node*>(memory);
  if (magazines.room == 0) [[unlikely]]
    return free_slowly(node);
  node->next = magazines.current;
  magazines.current = node;
  --magazines.room;
}

}  // namespace epore::internal
