#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_POSTED_CLOSURE_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_POSTED_CLOSURE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/base/handoff.h"
#include "epore/runtime/internal/dispatch/runnable.h"
#include "epore/runtime/internal/reactor/core.h"

namespace epore::internal {

// A closure on its way to the leader of a reactor.
struct PostedClosure final : HandoffNode<PostedClosure>, InFrameCache {
  explicit PostedClosure(absl::AnyInvocable<void()>&& c) : closure(std::move(c)) {}

  absl::AnyInvocable<void()> closure;
};

// A closure whose queue delay is noted, behind the face of a plain one.
struct TimedClosure final : InFrameCache {
  // Puts `closure` behind it. Without memory, `closure` is left as it is.
  static void put_before(absl::AnyInvocable<void()>& closure, Core& core);

  Core& core;
  const std::int64_t posted_at;
  absl::AnyInvocable<void()> closure;
};

// Runs posted closures, one after the other. Each leader has one ClosureRun.
class ClosureRun final : public Runnable {
 public:
  explicit ClosureRun(Reactor& home) : Runnable(home, Kind::closure) {}

  void load(std::unique_ptr<PostedClosure> posted) { posted_ = std::move(posted); }

  void run() override {
    if (!home().core().is_cut_off()) home().core().call(posted_->closure);
    posted_ = nullptr;
  }
  std::string describe() const override { return "a posted closure"; }

 private:
  std::unique_ptr<PostedClosure> posted_;
};

// A closure in a queue of the workers.
class QueuedClosure final : public Runnable, public InFrameCache {
 public:
  QueuedClosure(Reactor& home, absl::AnyInvocable<void()>&& closure)
      : Runnable(home, Kind::closure), closure_(std::move(closure)) {}

  absl::AnyInvocable<void()>& closure() { return closure_; }

  void run() override {
    if (!home().core().is_cut_off()) home().core().call(closure_);
    closure_ = nullptr;
  }
  std::string describe() const override { return "a posted closure"; }

 private:
  absl::AnyInvocable<void()> closure_;
};

static_assert(sizeof(PostedClosure) <= FrameCache::kCacheLine, "a post would take two lines");
static_assert(sizeof(QueuedClosure) <= FrameCache::kCacheLine, "a post would take two lines");

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_POSTED_CLOSURE_H_
