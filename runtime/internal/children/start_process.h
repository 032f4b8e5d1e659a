#ifndef EPORE_RUNTIME_INTERNAL_CHILDREN_START_PROCESS_H_
#define EPORE_RUNTIME_INTERNAL_CHILDREN_START_PROCESS_H_

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/child.h"
#include "epore/runtime/internal/children/process.h"

namespace epore::internal {

struct StartedProcess {
  Process process;
  std::array<OwnedFd, 3> pipes;  // this process's ends of the streams that are pipes
};

// Starts a program. Requires that the command and the options were checked. Errors: those of
// socketpair(2), open(2), clone(2) and the steps behind it. Then nothing is left. Throws
// std::bad_alloc.
absl::StatusOr<StartedProcess> start_process(Kernel& kernel, const Command& command,
                                             const ChildOptions& options);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_CHILDREN_START_PROCESS_H_
