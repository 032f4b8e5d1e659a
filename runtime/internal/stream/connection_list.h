#ifndef EPORE_RUNTIME_INTERNAL_STREAM_CONNECTION_LIST_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_CONNECTION_LIST_H_

#include <cstddef>
#include <string>
#include <vector>

#include "epore/runtime/connection_info.h"
#include "epore/runtime/internal/reactor/core.h"

namespace epore::internal {

// The open connections of a runtime, the oldest first.
struct ConnectionList {
  std::vector<ConnectionInfo> connections;
  std::size_t left_out = 0;  // younger ones

  // Any thread: looks at the `most` oldest ones. Throws std::bad_alloc.
  static ConnectionList of(Core& core, std::size_t most);

  // A line with their number, one for each, and one that says how many are left out.
  std::string to_string() const;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_CONNECTION_LIST_H_
