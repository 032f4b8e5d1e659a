#include "epore/runtime/internal/task/trampoline.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "epore/runtime/internal/task/join.h"
#include "epore/runtime/internal/task/operation.h"

namespace epore::internal {
namespace {

// After so many coroutines were resumed, other work of the thread gets its turn.
constexpr int kResumesAtOnce = 256;

}  // namespace

bool Trampoline::is_cut_off(TaskNode& node) { return node.scope->chain->home().is_cut_off(); }

// What the chain waits for has ended. Returns the node that is completed by that, or null.
TaskNode* Trampoline::ended(TaskChain& chain) {
  if (chain.is_child) return static_cast<JoinChild&>(chain).ended();
  chain.home().root_ended();
  return nullptr;
}

// Ends a suspended coroutine with its error. Returns what waits for it, which has the error now.
TaskNode* Trampoline::end(CoroutineNode& node) {
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
  // A loop, and no recursion, as joins may be nested as deep as coroutines. Nothing is resumed
  // here, so the chains stay.
  static thread_local constinit bool is_cancelling = false;
  static thread_local constinit JoinChild* to_cancel = nullptr;
  if (is_cancelling && scope.chain->is_child) {  // by a join of it that is being cancelled
    if (std::exchange(scope.chain->base().waits_for_cancel, true)) return;
    JoinChild& child = static_cast<JoinChild&>(*scope.chain);
    child.next_to_cancel_ = std::exchange(to_cancel, &child);
    return;
  }
  if (is_cancelling) return leaf->cancel(scope.stop);
  is_cancelling = true;
  const absl::Cleanup end = [] {
    is_cancelling = false;
    to_cancel = nullptr;
  };
  leaf->cancel(scope.stop);
  while (to_cancel != nullptr) {
    JoinChild& child = *std::exchange(to_cancel, to_cancel->next_to_cancel_);
    child.base().waits_for_cancel = false;
    child.leaf->cancel(child.base().stop);
  }
}

}  // namespace epore::internal
