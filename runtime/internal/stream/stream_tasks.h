#ifndef EPORE_RUNTIME_INTERNAL_STREAM_STREAM_TASKS_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_STREAM_TASKS_H_

#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/stream/write_queue.h"

namespace epore::internal {

// The coroutines that wait for something else than bytes. A Stream makes it for the first of them.
// The order only.
struct StreamTasks {
  WriteOperationBase* first_writer = nullptr;  // those that wait for room, in sequence
  WriteOperationBase* last_writer = nullptr;
  ClosedOperation* first_closed = nullptr;  // those that wait for the end
  WriteQueue sent;  // by send(), amid the first writer's bytes: goes behind them
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_STREAM_TASKS_H_
