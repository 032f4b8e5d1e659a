#include "epore/runtime/internal/stream/connection_timer.h"

#include <cstdint>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore::internal {

ConnectionTimer::ConnectionTimer(Reactor& home, Ref<Stream> stream, Callback callback)
    : TimerEntry(home, Kind::lasting), stream_(std::move(stream)), callback_(std::move(callback)) {
  // A connection that has ended has a closed list, so the first check saves the lock. The order is
  // fixed: once the timer is in the list, TimerList::close() may disable it on another thread.
  if (stream_->has_ended() || !stream_->timers().add(*this, home.timer_lists())) disable();
}

ConnectionTimer::~ConnectionTimer() { stream_->timers().remove(*this, home().timer_lists()); }

void ConnectionTimer::expired() {
  Ref<ConnectionTimer> self = Ref<ConnectionTimer>::adopt(this);  // the queue's
  if (home().core().phase() < Core::Phase::refusing) {
    stream_->timer_due(std::move(self));
  } else {
    cancel();
  }
}

void ConnectionTimer::fire() {
  if (!claim()) return;
  home().core().counters().add(Counter::timers_fired);
  stream_->call(callback_);
}

bool TimerList::add(ConnectionTimer& timer, absl::Mutex& mutex) {
  absl::MutexLock lock(&mutex);
  if (first_ == closed()) return false;
  timer.next_in_list_ = first_;
  if (first_ != nullptr) first_->previous_in_list_ = &timer;
  first_ = &timer;
  timer.is_in_list_.store(true, std::memory_order_relaxed);
  return true;
}

void TimerList::remove(ConnectionTimer& timer, absl::Mutex& mutex) {
  if (!timer.is_in_list_.load(std::memory_order_acquire)) return;
  absl::MutexLock lock(&mutex);
  if (!timer.is_in_list_.load(std::memory_order_relaxed)) return;
  (timer.previous_in_list_ != nullptr ? timer.previous_in_list_->next_in_list_ : first_) =
      timer.next_in_list_;
  if (timer.next_in_list_ != nullptr) {
    timer.next_in_list_->previous_in_list_ = timer.previous_in_list_;
  }
  timer.is_in_list_.store(false, std::memory_order_relaxed);
}

ClosedTimers::ClosedTimers(TimerList& list, absl::Mutex& mutex) {
  {
    absl::MutexLock lock(&mutex);
    ConnectionTimer* timer = std::exchange(list.first_, TimerList::closed());
    while (timer != nullptr) {
      ConnectionTimer* const next = timer->next_in_list_;
      // Without a reference left, the timer's destructor runs. It waits for this lock, or it finds
      // the flag cleared and does not need the list any more.
      if (timer->try_add_ref()) {
        timer->next_in_list_ = first_;
        first_ = timer;
      }
      timer->is_in_list_.store(false, std::memory_order_release);
      timer = next;
    }
  }
  for (ConnectionTimer* timer = first_; timer != nullptr; timer = timer->next_in_list_) {
    timer->disable();
  }
}

void ClosedTimers::drop_callbacks() {
  while (first_ != nullptr) {
    const Ref<ConnectionTimer> timer = Ref<ConnectionTimer>::adopt(first_);
    first_ = timer->next_in_list_;
    timer->callback_ = nullptr;
  }
}

}  // namespace epore::internal
