#ifndef EPORE_RUNTIME_INTERNAL_POSTED_CLOSURE_H_
#define EPORE_RUNTIME_INTERNAL_POSTED_CLOSURE_H_

#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/internal/core.h"
#include "runtime/internal/runnable.h"

namespace epore::internal {

// A closure that runs once, on whatever thread.
class PostedClosure final : public Runnable {
 public:
  PostedClosure(Reactor& home, absl::AnyInvocable<void()> closure)
      : Runnable(home, Kind::passing), closure_(std::move(closure)) {}

  void run() override {
    home().core().call(closure_);
    closure_ = nullptr;
  }
  std::string describe() const override { return "a posted closure"; }

 private:
  absl::AnyInvocable<void()> closure_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_POSTED_CLOSURE_H_
