#ifndef EPORE_RUNTIME_INTERNAL_TASK_TRAMPOLINE_H_
#define EPORE_RUNTIME_INTERNAL_TASK_TRAMPOLINE_H_

#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/task/task_node.h"

namespace epore::internal {

// A Trampoline resumes the coroutines of a thread, one after the other, in a loop. A coroutine that
// ends does not resume the one that awaits it: it names it, and the loop resumes it. So the stack
// does not grow with the number of coroutines that complete. (Symmetric transfer does the same only
// where the compiler makes a tail call of it; gcc does not at -O0.)
//
// A child is started by a nested resume(), which is quicker, up to kDepth levels.
//
// A frame is destroyed by whoever has called its resume(), after that has returned, or by itself at
// its end.
class Trampoline {
 public:
  static constexpr int kDepth = 12;

  // After so many completions without a suspension a coroutine lets other work run.
  static constexpr int kBudget = 128;

  // Resumes what is completed in its scope, and all that follows from it, when the scope ends. The
  // caller is in an order, and in no coroutine.
  class Run {
   public:
    // `now` is a time that need not be exact, for the dump of tasks; 0 if it is not known.
    explicit Run(std::int64_t now = 0) : before_(std::exchange(this_trampoline.is_active_, true)) {
      if (before_) return;
      this_trampoline.budget_ = kBudget;
      this_trampoline.now_ = now;
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    ~Run() {
      if (!before_) this_trampoline.drain();
    }

   private:
    const bool before_;
  };

  static Trampoline& here() { return this_trampoline; }

  // Completes what `node` waits for. In the node's order and in a Run it is resumed in this Run,
  // otherwise in a later run of its order. Never inside this call.
  static void complete(TaskNode& node, absl::Status status) {
    node.status = std::move(status);
    TaskHome& home = node.scope->chain->home();
    if (this_trampoline.is_active_ && home.is_current()) {
      this_trampoline.push(node);
    } else {
      home.post(node);
    }
  }

  // Resumes `node` in this Run.
  void push(TaskNode& node) {
    node.next_in_list() = nullptr;
    (last_ != nullptr ? last_->next_in_list() : first_) = &node;
    last_ = &node;
  }

  // Called in begin(), in the coroutine that awaits: starts `child`, whose `up` is `parent`.
  // Returns true if the child has ended; its status is then that of `parent`.
  bool start(CoroutineNode& child, TaskNode& parent) {
    if (depth_ >= kDepth) [[unlikely]] {
      child.scope->chain->innermost = &child;
      push(child);
      return false;
    }
    ++depth_;
    TaskNode* node = &child;
    while (node != nullptr && node != &parent) node = step(*node);
    --depth_;
    return node != nullptr;
  }

  // The loop deals with `node` next, when the coroutine that runs is suspended or has ended.
  void go_on_with(TaskNode* node) { next_ = node; }

  // Whether this thread is in a Run: a coroutine calls.
  bool is_active() const { return is_active_; }

  // The time that the Run was told.
  std::int64_t now() const { return now_; }

  // Counts a completion without a suspension. True: the coroutine must let other work run first.
  bool is_over_budget() { return --budget_ <= 0; }

  // Resumes `node`, which is complete, in a later run of its order.
  static void let_others_run(TaskNode& node);

 private:
  // Resumes a node, or ends it with its error. Returns the node that is completed by that.
  TaskNode* step(TaskNode& node) {
    TaskChain& chain = *node.scope->chain;
    chain.leaf = nullptr;
    chain.innermost = nullptr;
    if (node.is_chain) return ended(chain);
    CoroutineNode& coroutine = static_cast<CoroutineNode&>(node);
    if (!node.status.ok()) [[unlikely]] {
      if (!node.takes_errors || is_cut_off(node)) return end(coroutine);
    }
    next_ = nullptr;
    coroutine.frame().resume();
    return std::exchange(next_, nullptr);
  }

  static TaskNode* ended(TaskChain& chain);
  static bool is_cut_off(TaskNode& node);
  static TaskNode* end(CoroutineNode& node);
  void drain();

  bool is_active_ = false;
  int depth_ = 0;
  int budget_ = kBudget;
  std::int64_t now_ = 0;
  TaskNode* next_ = nullptr;
  TaskNode* first_ = nullptr;
  TaskNode* last_ = nullptr;

  static thread_local constinit Trampoline this_trampoline;
};

inline thread_local constinit Trampoline Trampoline::this_trampoline;

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_TRAMPOLINE_H_
