#ifndef EPORE_RUNTIME_INTERNAL_STREAM_CONNECTION_TIMER_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_CONNECTION_TIMER_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/timer_entry.h"

namespace epore {
class Connection;
}

namespace epore::internal {

class Stream;

// A timer of a connection. Runs in the connection's order, and is in its list so that its end
// reaches it.
class ConnectionTimer final : public TimerEntry {
 public:
  using Callback = absl::AnyInvocable<void(Connection&)>;

  ConnectionTimer(Reactor& home, Ref<Stream> stream, Callback callback);
  ~ConnectionTimer() override;

  // In the connection's order: calls the callback, if it is still due.
  void fire();

  // After its list was closed, in the connection's order.
  void drop_callback() { callback_ = nullptr; }

  void run() override {}  // its connection runs instead

 private:
  friend class TimerList;

  void expired() override;

  const Ref<Stream> stream_;
  Callback callback_;

  ConnectionTimer* previous_in_list_ = nullptr;  // under the reactor's timer_lists()
  ConnectionTimer* next_in_list_ = nullptr;
  std::atomic<bool> is_in_list_{false};  // changed under the lock, read by the destructor before it
};

// The timers of one connection. Guarded by the reactor's timer_lists().
class TimerList {
 public:
  // False: the list is closed.
  bool add(ConnectionTimer& timer, absl::Mutex& mutex);
  void remove(ConnectionTimer& timer, absl::Mutex& mutex);

  // In the connection's order, at its end: cancels all, and returns them for drop_callback().
  [[nodiscard]] std::vector<Ref<ConnectionTimer>> close(absl::Mutex& mutex);

 private:
  static ConnectionTimer* closed() { return reinterpret_cast<ConnectionTimer*>(std::uintptr_t{1}); }

  ConnectionTimer* first_ = nullptr;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_CONNECTION_TIMER_H_
