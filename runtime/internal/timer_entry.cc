#include "runtime/internal/timer_entry.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "runtime/connection.h"
#include "runtime/internal/stream.h"
#include "runtime/internal/thread_context.h"

namespace epore::internal {

TimerEntry::TimerEntry(Ref<Core> core, Reactor& home, Ref<Stream> stream, Callback callback)
    : Runnable(home, Kind::passing),
      core_(std::move(core)),
      stream_(std::move(stream)),
      callback_(std::move(callback)) {
  // After the end without the lock, which its runner may still need.
  if (!stream_) return;
  // Never the other way: TimerList::close() may find it as soon as it is in.
  if (stream_->has_ended() || !stream_->timers().add(*this, home.timer_lists())) is_dead_ = true;
}

TimerEntry::~TimerEntry() {
  if (stream_) stream_->timers().remove(*this, home().timer_lists());
}

void TimerEntry::arm(std::int64_t after) {
  set(saturating_add(core_->kernel().now(), std::max<std::int64_t>(after, 0)), 0);
}

void TimerEntry::arm_every(std::int64_t interval) {
  interval = std::max<std::int64_t>(interval, 1);
  set(saturating_add(core_->kernel().now(), interval), interval);
}

void TimerEntry::set(std::int64_t deadline, std::int64_t interval) {
  if (is_dead_.load(std::memory_order_acquire)) return;
  is_periodic_.store(interval != 0, std::memory_order_relaxed);
  const TimerQueue::Armed armed = home().arm(*this, deadline, interval);
  if (armed.before == TimerQueue::State::armed && !armed.is_armed) drop_ref();  // the wheel's
  // TimerList::close() marks before it cancels, so either that finds it armed or this finds it
  // dead.
  if (is_dead_.load(std::memory_order_acquire)) cancel();
}

bool TimerEntry::cancel() {
  const TimerQueue::State before = home().timers().cancel(*this);
  if (before == TimerQueue::State::armed) drop_ref();
  return before != TimerQueue::State::idle;
}

bool TimerEntry::is_armed() { return home().timers().state(*this) != TimerQueue::State::idle; }

void TimerEntry::expired() {
  if (core_->phase() < Core::Phase::refusing) {
    if (stream_) {
      stream_->timer_due(*this);
    } else {
      core_->wake(*this);
    }
  }
  drop_ref();  // the wheel's
}

bool TimerEntry::claim() {
  // Without a period nobody asks for the time. (If it is just getting one or losing it, it is armed
  // anew right after this anyway.)
  const std::int64_t now =
      is_periodic_.load(std::memory_order_relaxed) ? core_->kernel().now() : this_thread.now;
  const TimerQueue::Claimed claimed = home().timers().claim(*this, now);
  if (claimed.is_earliest) home().notify();
  if (claimed.was_due) core_->counters().add(Counter::timers_fired);
  return claimed.was_due;
}

void TimerEntry::run() {
  // What expired before the shutdown may come to its run after it.
  if (core_->phase() >= Core::Phase::refusing || !claim()) return;
  Connection none;
  core_->call(callback_, none);
  // Nobody is left who could arm it again: what it captured is destroyed here, where a relief comes
  // if that takes long.
  if (is_only_reference()) callback_ = nullptr;
}

void TimerEntry::fire() {
  if (claim() && !is_dead_.load(std::memory_order_acquire)) stream_->call(callback_);
}

bool TimerList::add(TimerEntry& entry, absl::Mutex& mutex) {
  absl::MutexLock lock(&mutex);
  if (first_ == closed()) return false;
  entry.next_in_list_ = first_;
  if (first_ != nullptr) first_->previous_in_list_ = &entry;
  first_ = &entry;
  entry.is_in_list_.store(true, std::memory_order_relaxed);
  return true;
}

void TimerList::remove(TimerEntry& entry, absl::Mutex& mutex) {
  if (!entry.is_in_list_.load(std::memory_order_acquire)) return;
  absl::MutexLock lock(&mutex);
  if (!entry.is_in_list_.load(std::memory_order_relaxed)) return;
  (entry.previous_in_list_ != nullptr ? entry.previous_in_list_->next_in_list_ : first_) =
      entry.next_in_list_;
  if (entry.next_in_list_ != nullptr) {
    entry.next_in_list_->previous_in_list_ = entry.previous_in_list_;
  }
  entry.is_in_list_.store(false, std::memory_order_relaxed);
}

std::vector<Ref<TimerEntry>> TimerList::close(absl::Mutex& mutex) {
  std::vector<Ref<TimerEntry>> entries;
  {
    absl::MutexLock lock(&mutex);
    TimerEntry* entry = std::exchange(first_, closed());
    while (entry != nullptr) {
      TimerEntry* const next = entry->next_in_list_;
      // One whose last handle is being dropped waits for this lock in its destructor,
      if (entry->try_add_ref()) entries.push_back(Ref<TimerEntry>::adopt(entry));
      // or needs it no more.
      entry->is_in_list_.store(false, std::memory_order_release);
      entry = next;
    }
  }
  for (const Ref<TimerEntry>& entry : entries) {
    entry->is_dead_.store(true, std::memory_order_release);
    entry->cancel();
  }
  return entries;
}

}  // namespace epore::internal
