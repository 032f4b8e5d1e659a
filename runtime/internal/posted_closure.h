#ifndef EPORE_RUNTIME_INTERNAL_POSTED_CLOSURE_H_
#define EPORE_RUNTIME_INTERNAL_POSTED_CLOSURE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/internal/core.h"
#include "runtime/internal/handoff.h"
#include "runtime/internal/node_cache.h"
#include "runtime/internal/runnable.h"

namespace epore::internal {

// A closure that is to run once, on its way.
struct PostedClosure final : HandoffNode<PostedClosure>, InNodeCache {
  explicit PostedClosure(absl::AnyInvocable<void()>&& c) : closure(std::move(c)) {}

  absl::AnyInvocable<void()> closure;
};

static_assert(sizeof(PostedClosure) <= NodeCache::kNodeSize, "a post would allocate");

// Runs one. A leader has a single ClosureRun for all that it runs itself; what is handed over or
// shared gets one each.
class ClosureRun final : public Runnable, public InNodeCache {
 public:
  explicit ClosureRun(Reactor& home, std::unique_ptr<PostedClosure> posted = nullptr)
      : Runnable(home, Kind::closure), posted_(std::move(posted)) {}

  void load(std::unique_ptr<PostedClosure> posted) { posted_ = std::move(posted); }

  void run() override {
    home().core().call(posted_->closure);
    posted_ = nullptr;
  }
  std::string describe() const override { return "a posted closure"; }

 private:
  std::unique_ptr<PostedClosure> posted_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_POSTED_CLOSURE_H_
