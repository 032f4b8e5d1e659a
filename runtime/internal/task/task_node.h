#ifndef EPORE_RUNTIME_INTERNAL_TASK_TASK_NODE_H_
#define EPORE_RUNTIME_INTERNAL_TASK_TASK_NODE_H_

#include <bit>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <source_location>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/handoff.h"

namespace epore::internal {

class Operation;
class OrderState;
class TaskChain;
class TaskHome;
struct TaskScope;

// Where a co_await is in the program: what a std::source_location consists of. As the type of a
// default argument it costs a frame nothing, while gcc keeps a source_location there for each call.
using Place = decltype(__builtin_source_location());

inline std::source_location location_of(Place place) {
  return std::bit_cast<std::source_location>(place);
}

// A TaskNode is a coroutine, or the end of a chain of coroutines (TaskChain), as something that
// waits. It is part of the coroutine's promise. A coroutine waits for one thing at a time: another
// coroutine or an Operation. What it waits for completes it: it stores the status, and hands the
// node to the trampoline of its order, which resumes the coroutine or ends it with the error.
//
// Only its order uses a node, except that any thread may hand a completed node to TaskHome::post().
struct TaskNode : HandoffNode<TaskNode> {
  TaskNode() = default;
  TaskNode(const TaskNode&) = delete;
  TaskNode& operator=(const TaskNode&) = delete;

  using HandoffNode<TaskNode>::next_in_list;  // for the list of the trampoline

  TaskScope* scope = nullptr;  // the deadline and the stop that apply to it
  absl::Status status;         // of what it has waited for; later, of its own end

  // One word, because each frame has it. 2^59 ns are 18 years.
  bool is_chain : 1 = false;      // this is a TaskChain, otherwise a CoroutineNode
  bool is_child : 1 = false;      // this is a JoinChild
  bool takes_errors : 1 = false;  // it asked for result(): resume it also with an error
  bool has_failed : 1 = false;    // what it awaits has failed in begin(): its suspension ends it
  std::int64_t waits_since : 60 = 0;  // the cached time of its last suspension, for the dump

  // The mask tells compilers that `now` fits.
  void wait_since(std::int64_t now) { waits_since = now & ((std::int64_t{1} << 59) - 1); }
};

// A coroutine.
struct CoroutineNode : TaskNode {
  // Its promise begins with this node and is aligned as it is (see promise.h), so the frame is
  // where it is for a promise of this type.
  std::coroutine_handle<> frame() {
    return std::coroutine_handle<CoroutineNode>::from_promise(*this);
  }

  TaskNode* up = nullptr;      // what waits for the end of this coroutine
  std::source_location where;  // of the last co_await
};

// A TaskScope is a part of a task that is stopped as a whole: a chain, or the inside of within().
// Scopes form a chain of parents, and a stop concerns all scopes inside.
struct TaskScope {
  TaskScope* up = nullptr;  // the enclosing scope, also that of the chain that awaits a join
  TaskChain* chain = nullptr;
  absl::Status stop;              // not ok once it was stopped: what its operations end with
  bool is_shield = false;         // stops of enclosing scopes do not reach the inside
  bool waits_for_cancel = false;  // of a chain: it is in the list of stop()
};

// Returns the status of the innermost stop that applies to `scope`, or null. It is quick as long as
// nothing of the task was ever stopped.
const absl::Status* find_stop(const TaskScope* scope);
const absl::Status* find_stop_slowly(const TaskScope* scope);

// A TaskChain is a line of coroutines, each of which awaits the next one: the root task, or a child
// of a join. It is the node that waits for the end of its first coroutine, or for an operation.
class TaskChain : public TaskNode {
 public:
  TaskChain() { is_chain = true; }
  TaskChain(TaskChain&&) noexcept : TaskChain() {}  // before it begins

  // Before it begins.
  void attach(TaskHome& home, TaskScope* enclosing) {
    home_ = &home;
    base_.up = enclosing;
    base_.chain = this;
    scope = &base_;
  }

  TaskHome& home() const { return *home_; }
  TaskScope& base() { return base_; }

  // The operation that the innermost coroutine waits for. Null while the chain runs, or is about
  // to.
  Operation* leaf = nullptr;

  // The innermost coroutine, or this chain. Null while the chain runs.
  TaskNode* innermost = nullptr;

 private:
  TaskHome* home_ = nullptr;
  TaskScope base_;
};

// Stops what is in `scope`: the operation that it waits for is cancelled with `why`, and so is
// every later one. Resumes nobody. Does nothing if the scope was stopped before. Once the runtime
// is cut off, shields do not hold.
void stop(TaskScope& scope, absl::Status why);

// A Deadline is a time at which a task wants to be told. See DeadlineHeap.
class Deadline {
 public:
  Deadline() = default;
  Deadline(Deadline&&) noexcept {}  // of one that is in no heap

  // The time has come. The deadline is in no heap any more.
  virtual void due() = 0;

  // Whether it limits how long something may take. Then it is judged only after what is ready.
  virtual bool is_limit() const { return false; }

 protected:
  ~Deadline() = default;

  std::int64_t at_ = 0;  // set by the heap, at the latest

 private:
  friend class DeadlineHeap;

  Deadline* child_ = nullptr;
  Deadline* next_ = nullptr;      // the next child of the same parent
  Deadline* previous_ = nullptr;  // the previous child, or the parent; itself: the top of the heap
};

// A TaskHome is what all coroutines of a root task share: its order and its clock. See TaskRoot.
class TaskHome {
 public:
  // Whether something of the task was ever stopped.
  bool has_stopped() const { return has_stopped_; }

  // Any thread: resumes the node in the order of the task, soon.
  virtual void post(TaskNode& node) = 0;

  // Whether the caller runs in the order of the task.
  virtual bool is_current() const = 0;

  // As is_current(), for calls of a coroutine. A test may let all completions come from elsewhere.
  virtual bool is_caller() const { return is_current(); }

  // The order, for operations that make something in it. Null in a test without one.
  virtual OrderState* order_state() const { return nullptr; }

  // The chain that is no child of a join has ended, with TaskNode::status. Frames are gone.
  virtual void root_ended() = 0;

  // Whether the runtime is shut down so far that the task must end.
  virtual bool is_cut_off() const = 0;

  // The order of the task only.
  virtual std::int64_t now() const = 0;  // reads the clock
  virtual void arm(Deadline& deadline, std::int64_t at) = 0;
  virtual void disarm(Deadline& deadline) = 0;  // does nothing for one that is not armed

 protected:
  ~TaskHome() = default;

 private:
  friend void stop(TaskScope& scope, absl::Status why);

  bool has_stopped_ = false;  // last: the small members of a derived class are in its word
};

inline const absl::Status* find_stop(const TaskScope* scope) {
  if (!scope->chain->home().has_stopped()) [[likely]]
    return nullptr;
  return find_stop_slowly(scope);
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_TASK_NODE_H_
