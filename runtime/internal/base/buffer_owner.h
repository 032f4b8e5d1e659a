#ifndef EPORE_RUNTIME_INTERNAL_BASE_BUFFER_OWNER_H_
#define EPORE_RUNTIME_INTERNAL_BASE_BUFFER_OWNER_H_

#include "epore/runtime/internal/base/ref.h"

namespace epore::internal {

// What may own something in the buffers of a thread. Only a connection does, but this is a base of
// all Runnables: as a second base it would cost each connection a word.
class BufferOwner : public RefCounted {
 public:
  virtual void flush_output() {}  // writes its output, or queues it
  virtual void keep_view() {}     // keeps the received bytes that a coroutine has a view of
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_BUFFER_OWNER_H_
