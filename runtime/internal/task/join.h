#ifndef EPORE_RUNTIME_INTERNAL_TASK_JOIN_H_
#define EPORE_RUNTIME_INTERNAL_TASK_JOIN_H_

#include <cstddef>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/operation.h"
#include "epore/runtime/internal/task/task_node.h"

namespace epore::internal {

class Join;

// A child of a join: a chain of its own, in a list of the join.
class JoinChild : public TaskChain {
 public:
  JoinChild() { is_child = true; }
  JoinChild(JoinChild&&) noexcept : JoinChild() {}  // before it begins

  // What it waits for has ended, with TaskNode::status. Frames are gone. Returns the node that is
  // completed by that, or null.
  virtual TaskNode* ended() = 0;

 protected:
  ~JoinChild() = default;

  Join& join() const { return *join_; }

 private:
  friend class Join;
  friend void stop(TaskScope& scope, absl::Status why);

  JoinChild* next_to_cancel_ = nullptr;  // in the list of stop()
  Join* join_ = nullptr;
  JoinChild* previous_ = nullptr;
  JoinChild* next_ = nullptr;
};

// A Join waits until all its children have ended: all(), any(), group(). What ends early stops the
// others, and the join still waits for them. Everything is in one order, so it needs no lock.
class Join : public Operation {
 public:
  // A child has ended. Returns what is completed by that, or null.
  TaskNode* child_ended(JoinChild& child) {
    remove(child);
    decide(child);
    return running_ == 0 && is_waiting() ? finish_wait() : nullptr;
  }

  // Stops all children that run, and those that begin later.
  void stop_children(const absl::Status& why);
  void cancel_children(std::string_view why);  // with Cancelled

  TaskChain* first_child() const override { return first_; }
  TaskChain* next_child(const TaskChain& child) const override {
    return static_cast<const JoinChild&>(child).next_;
  }

 protected:
  Join() = default;
  Join(Join&&) noexcept {}  // before it begins
  ~Join() = default;

  // Called when `child` has ended, with child.status: sets result_ and stops the others.
  virtual void decide(JoinChild& child) = 0;

  // In begin(). A join begins once: otherwise it completes `node` with FailedPrecondition, and
  // returns false.
  bool begin_join(TaskNode& node) {
    if (scope_ != nullptr) [[unlikely]]
      return !fails_as_awaited(name(), true, node);
    home_ = &node.scope->chain->home();
    scope_ = node.scope;
    return true;
  }

  // Whether the caller runs in the task of this join, which has begun and has not ended.
  bool is_in_task() const {
    return home_ != nullptr && Trampoline::here().is_active() && home_->is_caller();
  }

  // Puts the child into the list. The caller then begins it, and calls ended_at_once() if it has
  // completed.
  void add(JoinChild& child);
  void ended_at_once(JoinChild& child) {
    child.leaf = nullptr;
    remove(child);
    decide(child);
  }
  bool is_stopped() const { return !stop_.ok(); }

  // Of one that needs a child: its result is an error.
  void has_no_child();

  // After all children have begun. Returns whether all have ended.
  bool end_begin(TaskNode& node) {
    if (running_ == 0) {
      home_ = nullptr;
      node.status = std::move(result_);
      return true;
    }
    wait(node);
    return false;
  }

  void cancel(const absl::Status& why) override { stop_children(why); }

  absl::Status result_;
  std::size_t running_ = 0;

 private:
  void remove(JoinChild& child);
  TaskNode* finish_wait();

  TaskHome* home_ = nullptr;    // until the end
  TaskScope* scope_ = nullptr;  // null: it has not begun
  absl::Status stop_;
  JoinChild* first_ = nullptr;
};

// A child that waits for an awaitable, and keeps it until the value is taken.
template <typename A>
class AwaitingChild final : public JoinChild {
 public:
  using Value = typename A::Value;

  explicit AwaitingChild(A&& awaitable) : awaitable_(std::move(awaitable)) {}
  AwaitingChild(AwaitingChild&&) = default;

  // Returns whether it has ended.
  bool begin() {
    if (!awaitable_.begin(*this)) {
      wait_since(Trampoline::here().now());
      return false;
    }
    awaitable_.finish(*this);
    return true;
  }
  Value take() { return awaitable_.take(); }

 private:
  TaskNode* ended() override {
    awaitable_.finish(*this);
    return join().child_ended(*this);
  }

  A awaitable_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_JOIN_H_
