#ifndef EPORE_RUNTIME_INTERNAL_STREAM_STREAM_TASKS_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_STREAM_TASKS_H_

#include <cstdint>

#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/stream/inflow.h"

namespace epore::internal {

// What a Stream has for coroutines. A connection with callbacks has none of it. The order only.
struct StreamTasks : InFrameCache {
  Inflow inflow;
  ReadOperationBase* reader = nullptr;     // waits for bytes
  WriteOperation* first_writer = nullptr;  // those that wait for room, in sequence
  WriteOperation* last_writer = nullptr;
  int receives_left = 0;     // of this run
  bool is_used = false;      // a coroutine has read, so on_data is refused
  bool is_draining = false;  // a read that has no byte and finds none ends
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_STREAM_TASKS_H_
