#ifndef EPORE_RUNTIME_INTERNAL_STREAM_WAITING_DESCRIPTORS_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_WAITING_DESCRIPTORS_H_

#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/stream/received_descriptors.h"

namespace epore::internal {

// The descriptors that a connection has received, until somebody takes them. A coroutine of another
// order takes them on its own thread. Any thread.
class WaitingDescriptors {
 public:
  // Takes them all, or none with ResourceExhausted if more than `most` would wait then. Throws
  // std::bad_alloc, and then takes none.
  absl::Status push(ReceivedDescriptors& received, std::size_t most);

  // Returns the first ones, at most `most`, in the sequence in which they have come. Throws
  // std::bad_alloc, and then they go on waiting.
  std::vector<OwnedFd> take(std::size_t most);

  // Closes them all.
  void close();

 private:
  void drop_taken() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::vector<OwnedFd> waiting_ ABSL_GUARDED_BY(mutex_);
  std::size_t taken_ ABSL_GUARDED_BY(mutex_) = 0;  // of the first ones, which name none any more
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_WAITING_DESCRIPTORS_H_
