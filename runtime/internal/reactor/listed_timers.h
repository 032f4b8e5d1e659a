#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_LISTED_TIMERS_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_LISTED_TIMERS_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace epore::internal {

class ListedTimer;

// ListedTimers holds all timers of a reactor that belong to no connection, armed or not. The end of
// the runtime destroys their callbacks through it. A callback may have captured the handle of its
// own timer, to arm it again. Without the list it would keep itself and the core alive for ever.
//
// The list owns nothing: a timer that is destroyed leaves it. Any thread.
class ListedTimers {
 public:
  // Returns false if the list is closed.
  bool add(ListedTimer& timer);
  void remove(ListedTimer& timer);

  // When no thread of the runtime is left: destroys all callbacks and closes the list.
  void close();

 private:
  absl::Mutex mutex_;
  ListedTimer* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_LISTED_TIMERS_H_
