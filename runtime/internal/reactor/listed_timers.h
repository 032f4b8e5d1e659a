#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_LISTED_TIMERS_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_LISTED_TIMERS_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace epore::internal {

class ListedTimer;

// The timers of no connection that exist, armed or not, so that its end finds their callbacks. A
// callback that has captured its own handle, to arm itself again, would otherwise keep itself for
// ever, and the core with it.
//
// Owns nothing: a timer that is destroyed leaves the list. Any thread.
class ListedTimers {
 public:
  // False: the list is closed.
  bool add(ListedTimer& timer);
  void remove(ListedTimer& timer);

  // When no thread of the runtime is left: destroys the callbacks, and takes no timer any more.
  void close();

 private:
  absl::Mutex mutex_;
  ListedTimer* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_LISTED_TIMERS_H_
