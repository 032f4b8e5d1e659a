#ifndef EPORE_RUNTIME_INTERNAL_STREAM_CONNECTION_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_CONNECTION_TIMER_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/timer_entry.h"

namespace epore {
class Connection;
}

namespace epore::internal {

class Stream;

// A ConnectionTimer is a timer of a connection. Its callback runs in the connection's order. It is
// in the connection's TimerList, so that the end of the connection cancels it.
class ConnectionTimer final : public TimerEntry {
 public:
  using Callback = absl::AnyInvocable<void(Connection&)>;

  ConnectionTimer(Reactor& home, Ref<Stream> stream, Callback callback);
  ~ConnectionTimer() override;

  // In the connection's order: calls the callback, unless the timer was cancelled or armed anew.
  void fire();

  // In the connection's order, after the list was closed: destroys the callback.
  void drop_callback() { callback_ = nullptr; }

  void run() override {}  // never woken: expired() sends mail to the connection

 private:
  friend class TimerList;
  friend class ClosedTimers;

  void expired() override;

  const Ref<Stream> stream_;
  Callback callback_;

  ConnectionTimer* previous_in_list_ = nullptr;  // under the reactor's timer_lists()
  ConnectionTimer* next_in_list_ = nullptr;      // or of ClosedTimers

  // Whether a TimerList holds this timer. Changed under the lock. The destructor reads it (acquire)
  // before it takes the lock, to do without where it can. The race: the last handle is dropped
  // while the connection ends. TimerList::close() stores false (release) as its last access to the
  // timer. A destructor that reads false therefore frees memory that no other thread touches any
  // more.
  std::atomic<bool> is_in_list_{false};
};

// A TimerList holds the timers of one connection. The reactor's timer_lists() guards it.
class TimerList {
 public:
  // Returns false if the list is closed.
  bool add(ConnectionTimer& timer, absl::Mutex& mutex);
  void remove(ConnectionTimer& timer, absl::Mutex& mutex);

 private:
  friend class ClosedTimers;

  static ConnectionTimer* closed() { return reinterpret_cast<ConnectionTimer*>(std::uintptr_t{1}); }

  ConnectionTimer* first_ = nullptr;
};

// In the connection's order, at its end: closes its list and cancels all that were in it. Keeps
// them for drop_callbacks(), and needs no memory for that.
class ClosedTimers {
 public:
  ClosedTimers(TimerList& list, absl::Mutex& mutex);
  ClosedTimers(const ClosedTimers&) = delete;
  ClosedTimers& operator=(const ClosedTimers&) = delete;
  ~ClosedTimers() { drop_callbacks(); }

  // Destroys what the callbacks captured, which may be the connection's handle.
  void drop_callbacks();

 private:
  ConnectionTimer* first_ = nullptr;  // owns a reference to each timer
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_CONNECTION_TIMER_H_
