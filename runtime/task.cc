#include "epore/runtime/task.h"

#include "absl/status/status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/task/task_node.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore::internal {

bool start_child(TaskNode* child, TaskNode& parent) {
  if (child == nullptr) [[unlikely]] {
    parent.status =
        make_error(absl::StatusCode::kResourceExhausted, "no memory for the frame of a coroutine");
    return true;
  }
  if (const absl::Status* const stop = find_stop(parent.scope); stop != nullptr) [[unlikely]] {
    child->frame.destroy();
    parent.status = *stop;
    return true;
  }
  child->up = &parent;
  child->scope = parent.scope;
  return Trampoline::here().start(*child, parent);
}

}  // namespace epore::internal
