#ifndef EPORE_RUNTIME_INTERNAL_POSTED_CLOSURE_H_
#define EPORE_RUNTIME_INTERNAL_POSTED_CLOSURE_H_

#include <cstddef>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/internal/core.h"
#include "runtime/internal/node_cache.h"
#include "runtime/internal/runnable.h"

namespace epore::internal {

// A closure that runs once, on whatever thread.
class PostedClosure final : public Runnable, public InNodeCache {
 public:
  PostedClosure(Reactor& home, absl::AnyInvocable<void()>&& closure)
      : Runnable(home, Kind::once), closure_(std::move(closure)) {}

  void run() override {
    home().core().call(closure_);
    closure_ = nullptr;
  }
  std::string describe() const override { return "a posted closure"; }

 private:
  absl::AnyInvocable<void()> closure_;
};

static_assert(sizeof(PostedClosure) <= NodeCache::kNodeSize, "a post would allocate");

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_POSTED_CLOSURE_H_
