#include "epore/runtime/task.h"

#include "absl/status/status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/task/task_node.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore::internal {

bool fail_to_start(bool was_moved_from, TaskNode& node) {
  if (was_moved_from) {
    node.status = make_error(absl::StatusCode::kFailedPrecondition,
                             "a task was awaited that was moved from, or awaited before");
  } else {
    node.status =
        make_error(absl::StatusCode::kResourceExhausted, "no memory for the frame of a coroutine");
  }
  return true;
}

bool start_child(CoroutineNode& child, TaskNode& parent) {
  if (const absl::Status* const stop = find_stop(parent.scope); stop != nullptr) [[unlikely]] {
    child.frame().destroy();
    parent.status = *stop;
    return true;
  }
  child.up = &parent;
  child.scope = parent.scope;
  return Trampoline::here().start(child, parent);
}

}  // namespace epore::internal
