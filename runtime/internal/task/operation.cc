#include "epore/runtime/internal/task/operation.h"

#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/base/no_memory.h"

namespace epore::internal {
namespace {

bool fail(std::string_view name, std::string_view what, std::string_view thing, TaskNode& node) {
  node.status = or_no_memory(
      name, [&] { return absl::FailedPreconditionError(absl::StrCat(name, ": ", what, thing)); });
  return true;
}

}  // namespace

bool fails_as_nothing(std::string_view name, const void* state, std::string_view thing,
                      TaskNode& node) noexcept {
  return state == nullptr && fail(name, "this handle names no ", thing, node);
}

bool fails_as_awaited(std::string_view name, bool is_awaited, TaskNode& node) noexcept {
  return is_awaited &&
         fail(name, "it is awaited already, or was before; call the method again for another one",
              "", node);
}

}  // namespace epore::internal
