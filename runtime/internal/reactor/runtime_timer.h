#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_RUNTIME_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_RUNTIME_TIMER_H_

#include <cstddef>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "epore/poll/kernel/sanitizers.h"
#include "epore/runtime/internal/base/object_pool.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/timer_entry.h"

namespace epore::internal {

// A timer of no connection: runs as a Runnable of its own.
//
// Its reference to the core has no member, as home() leads there: a hundred thousand timers that
// expire are as many pages of memory as they fill.
class RuntimeTimer final : public TimerEntry {
 public:
  RuntimeTimer(Ref<Core> core, Reactor& home, absl::AnyInvocable<void()> callback)
      : TimerEntry(home, kKind), callback_(std::move(callback)) {
    (void)core.release();
  }
  ~RuntimeTimer() override {
    callback_ = nullptr;  // first, as it may still use the core
    home().core().drop_ref();
  }

  static void* operator new(std::size_t size) {
    return kHasAddressSanitizer ? ::operator new(size) : pool().allocate();
  }
  static void operator delete(void* memory, std::size_t size) {
    if (kHasAddressSanitizer) {
      ::operator delete(memory, size);
    } else {
      pool().free(memory);
    }
  }

  // Null: another kind of node.
  static RuntimeTimer* from(TimerNode& node) {
    return node.kind() == kKind ? static_cast<RuntimeTimer*>(&node) : nullptr;
  }

  void run() override { run(/*is_claimed=*/false); }

  // `is_claimed`: not to be claimed any more.
  void run(bool is_claimed) {
    // What expired before the shutdown may come to its run after it.
    if (has_come_too_late()) return;
    if (is_claimed || claim()) {
      home().core().counters().add(Counter::timers_fired);
      home().core().call(callback_);
    }
    // Nobody is left who could arm it again: what it captured is destroyed here, where a relief
    // comes if that takes long. (A periodic one that is due already, and runs once more after this,
    // has no reference for that.)
    if (is_only_reference() && !is_armed()) callback_ = nullptr;
  }

 private:
  static constexpr Kind kKind = Kind::passing;

  static ObjectPool& pool();

  void expired() override {
    Ref<RuntimeTimer> self = Ref<RuntimeTimer>::adopt(this);  // the wheel's
    if (!has_come_too_late()) home().core().wake(std::move(self));
  }

  bool has_come_too_late() {
    if (home().core().phase() < Core::Phase::refusing) [[likely]]
      return false;
    cancel();
    return true;
  }

  absl::AnyInvocable<void()> callback_;
};

static_assert(sizeof(RuntimeTimer) <= DueList::kPrefetched, "not all that runs is prefetched");

inline ObjectPool& RuntimeTimer::pool() {
  static ObjectPool& pool = *new ObjectPool(sizeof(RuntimeTimer), alignof(RuntimeTimer));
  return pool;
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_RUNTIME_TIMER_H_
