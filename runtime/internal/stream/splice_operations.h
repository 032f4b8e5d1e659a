#ifndef EPORE_RUNTIME_INTERNAL_STREAM_SPLICE_OPERATIONS_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_SPLICE_OPERATIONS_H_

#include <cstddef>

#include "epore/runtime/byte_view.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/base/pipe.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"

// The two steps of splice(), in turn.
namespace epore::internal {

// What splice() is between two operations.
struct Splice {
  Ref<Pipe> pipe;
  std::size_t count = 0;    // in the pipe
  bool is_much = false;     // so much has come at once that a pipe pays
  bool is_refused = false;  // the system does not splice from the connection
};

// Receives into a pipe, which it then has, or into memory: then it gives a view, as read() does.
class [[nodiscard]] SpliceReadOperation final : public ReadOperationBase,
                                                public WithResult<SpliceReadOperation> {
 public:
  using Value = ByteView;

  SpliceReadOperation(Ref<Stream> stream, Splice& splice);
  SpliceReadOperation(SpliceReadOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  ByteView take() { return take_view(); }

 private:
  friend class Stream;

  Splice& splice_;
};

// Writes what is in the pipe, and waits until it is empty.
class [[nodiscard]] SpliceWriteOperation final : public WriteOperationBase,
                                                 public WithResult<SpliceWriteOperation> {
 public:
  using Value = void;

  SpliceWriteOperation(Ref<Stream> stream, Splice& splice);
  SpliceWriteOperation(SpliceWriteOperation&&) noexcept = default;

  bool begin(TaskNode& node) { return begin_operation(node); }
  void finish(TaskNode&) {}
  void take() {}

 private:
  friend class Stream;

  Splice& splice_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_SPLICE_OPERATIONS_H_
