#ifndef EPORE_RUNTIME_INTERNAL_SIGNALS_SIGNAL_STATE_H_
#define EPORE_RUNTIME_INTERNAL_SIGNALS_SIGNAL_STATE_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/signal.h"

namespace epore::internal {

// What all copies of a Signal share: how often it has come, and who waits for the next time.
class SignalState final : public RefCounted {
 public:
  // Any thread but a signal handler: the signal has come.
  void came();

  // Any thread: how often it has come.
  std::uint64_t count() const;

  // A SignalWait, in its order. `told` is what it knows.
  bool begin(SignalWait& wait, TaskNode& node, std::uint64_t told);
  void cancel(SignalWait& wait, const absl::Status& why);

 private:
  mutable absl::Mutex mutex_;
  std::uint64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  WaitList waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_SIGNALS_SIGNAL_STATE_H_
