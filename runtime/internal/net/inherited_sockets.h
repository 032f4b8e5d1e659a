#ifndef EPORE_RUNTIME_INTERNAL_NET_INHERITED_SOCKETS_H_
#define EPORE_RUNTIME_INTERNAL_NET_INHERITED_SOCKETS_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace epore::internal {

// What a service manager tells a process that it gives sockets to: the values of LISTEN_PID,
// LISTEN_FDS and LISTEN_FDNAMES, or null. See sd_listen_fds(3).
struct InheritedSockets {
  static InheritedSockets of_environment();

  // Returns the descriptors with `name`, or all of them if it is empty, for the process `self`.
  // Errors: NotFound, with what there is instead; InvalidArgument for values that make no sense.
  absl::StatusOr<std::vector<int>> find(std::string_view name, int self) const;

  const char* pid = nullptr;
  const char* fds = nullptr;
  const char* names = nullptr;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_INHERITED_SOCKETS_H_
