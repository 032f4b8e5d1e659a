#include "epore/runtime/internal/task/trampoline.h"

#include <utility>

#include "epore/runtime/internal/task/operation.h"

namespace epore::internal {
namespace {

// After so many coroutines were resumed, other work of the thread gets its turn.
constexpr int kResumesAtOnce = 256;

}  // namespace

bool Trampoline::is_cut_off(TaskNode& node) { return node.scope->chain->home().is_cut_off(); }

// Ends a suspended coroutine with its error. Returns what waits for it, which has the error now.
TaskNode* Trampoline::end(TaskNode& node) {
  TaskNode* const up = node.up;
  absl::Status status = std::move(node.status);
  node.frame().destroy();  // with the node
  up->status = std::move(status);
  return up;
}

// A coroutine that goes on all the same once the runtime is cut off ends here.
void Trampoline::let_others_run(TaskNode& node) {
  TaskHome& home = node.scope->chain->home();
  node.scope->chain->innermost = &node;
  if (home.is_cut_off()) {
    if (const absl::Status* const stop = find_stop(node.scope); stop != nullptr) {
      node.status = *stop;
      node.takes_errors = false;
    }
  }
  home.post(node);
}

void Trampoline::drain() {
  for (int left = kResumesAtOnce; first_ != nullptr; --left) {
    TaskNode* node = first_;
    first_ = node->next_in_list();
    if (first_ == nullptr) last_ = nullptr;
    if (left <= 0) {
      let_others_run(*node);
      continue;
    }
    while (node != nullptr) node = step(*node);
  }
  is_active_ = false;
}

const absl::Status* find_stop_slowly(const TaskScope* scope) {
  for (; scope != nullptr; scope = scope->up) {
    if (!scope->stop.ok()) return &scope->stop;
    if (scope->is_shield && !scope->chain->home().is_cut_off()) return nullptr;
  }
  return nullptr;
}

void stop(TaskScope& scope, absl::Status why) {
  TaskHome& home = scope.chain->home();
  const bool is_cut_off = home.is_cut_off();
  home.has_stopped_ = true;
  if (scope.stop.ok()) {
    scope.stop = std::move(why);
  } else if (!is_cut_off) {
    return;
  }
  Operation* const leaf = scope.chain->leaf;
  if (leaf == nullptr) return;
  for (const TaskScope* inner = scope.chain->innermost->scope; inner != &scope; inner = inner->up) {
    if (inner == nullptr) return;  // it waits outside: what was in `scope` has ended
    if (inner->is_shield && !is_cut_off) return;
  }
  if (home.is_cancelling_) {  // the call comes from a join that is being cancelled
    bool& waits = scope.chain->base().waits_for_cancel;
    if (std::exchange(waits, true)) return;
    scope.chain->next_to_cancel_ = std::exchange(home.to_cancel_, scope.chain);
    return;
  }
  home.is_cancelling_ = true;
  leaf->cancel(scope.stop);
  // A loop, and no recursion, as joins may be nested as deep as coroutines. Nothing is resumed
  // here, so the chains stay.
  while (home.to_cancel_ != nullptr) {
    TaskChain& chain = *std::exchange(home.to_cancel_, home.to_cancel_->next_to_cancel_);
    chain.base().waits_for_cancel = false;
    chain.leaf->cancel(chain.base().stop);
  }
  home.is_cancelling_ = false;
}

}  // namespace epore::internal
