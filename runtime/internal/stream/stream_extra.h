#ifndef EPORE_RUNTIME_INTERNAL_STREAM_STREAM_EXTRA_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_STREAM_EXTRA_H_

#include <memory>

#include "epore/runtime/connection.h"
#include "epore/runtime/internal/stream/stream_limits.h"
#include "epore/runtime/internal/stream/stream_tasks.h"
#include "epore/runtime/internal/stream/unix_peer.h"

namespace epore::internal {

// What few connections have, and what only few of their runs look at. A Stream makes it for the
// first of these. Its order only, but for `unix`.
struct StreamExtra {
  std::unique_ptr<UnixPeer> unix;            // constant; null: TCP
  std::unique_ptr<StreamTasks> tasks;        // null: no coroutine has waited but for bytes
  std::unique_ptr<StreamTimeouts> timeouts;  // null while those of StreamLimits hold
  std::unique_ptr<Connection::Callback> on_read_closed;
  std::unique_ptr<Connection::Callback> on_writable;
  std::unique_ptr<Connection::ClosedCallback> on_closed;
  std::unique_ptr<Connection::Callback> on_drain;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_STREAM_EXTRA_H_
