#include "epore/runtime/internal/reactor/listed_timers.h"

#include "epore/runtime/internal/reactor/listed_timer.h"

namespace epore::internal {

bool ListedTimers::add(ListedTimer& timer) {
  const absl::MutexLock lock(&mutex_);
  if (is_closed_) return false;
  timer.next_in_list_ = first_;
  if (first_ != nullptr) first_->previous_in_list_ = &timer;
  first_ = &timer;
  return true;
}

void ListedTimers::remove(ListedTimer& timer) {
  const absl::MutexLock lock(&mutex_);
  if (timer.next_in_list_ == &timer) return;
  (timer.previous_in_list_ != nullptr ? timer.previous_in_list_->next_in_list_ : first_) =
      timer.next_in_list_;
  if (timer.next_in_list_ != nullptr) {
    timer.next_in_list_->previous_in_list_ = timer.previous_in_list_;
  }
  timer.next_in_list_ = &timer;
}

void ListedTimers::close() {
  Ref<ListedTimer> found;  // destroyed without the lock, with its callback
  do {
    if (found) found->drop_callback();
    found = Ref<ListedTimer>();
    const absl::MutexLock lock(&mutex_);
    is_closed_ = true;
    while (first_ != nullptr && !found) {
      ListedTimer* const timer = first_;
      first_ = timer->next_in_list_;
      if (first_ != nullptr) first_->previous_in_list_ = nullptr;
      timer->next_in_list_ = timer;
      // Without a reference left, the timer's destructor waits for this lock.
      if (timer->try_add_ref()) found = Ref<ListedTimer>::adopt(timer);
    }
  } while (found);
}

}  // namespace epore::internal
