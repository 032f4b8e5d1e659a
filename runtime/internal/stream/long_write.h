#ifndef EPORE_RUNTIME_INTERNAL_STREAM_LONG_WRITE_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_LONG_WRITE_H_

#include "epore/runtime/byte_view.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore::internal {

// A write of bytes that cannot be done at once: it waits for room or for its turn, goes to another
// order, or fails. The WriteOperation in the frame owns it.
class LongWrite final : public WriteOperationBase, public InFrameCache {
 public:
  LongWrite(Ref<Stream> stream, ByteView bytes);

  bool begin(TaskNode& node) { return begin_operation(node); }

 private:
  friend class Stream;

  ByteView rest_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_LONG_WRITE_H_
