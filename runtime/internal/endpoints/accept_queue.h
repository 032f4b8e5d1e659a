#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_ACCEPT_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_ACCEPT_QUEUE_H_

#include <cstddef>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/listener.h"

namespace epore::internal {

class Acceptor;
class AcceptQueue;

// A connection that was accepted for a task, and that no task has taken.
struct AcceptedConnection : InFrameCache {
  Connection connection;
  std::unique_ptr<AcceptedConnection> next;
};

// What an acceptor has that accepts for a task: one connection of its will be taken. Without a
// connection the destructor gives the place back. One thread at a time.
class AcceptPlace {
 public:
  AcceptPlace() = default;
  AcceptPlace(AcceptPlace&&) noexcept;
  AcceptPlace& operator=(AcceptPlace&&) noexcept;
  ~AcceptPlace();

  explicit operator bool() const { return static_cast<bool>(queue_); }

  // The order of the task, which may have ended meanwhile.
  const Ref<OrderState>& order() const { return order_; }

  // In the order of the connection: gives it to a task.
  void deliver(const Connection& connection);

 private:
  friend class AcceptQueue;

  Ref<AcceptQueue> queue_;
  Ref<OrderState> order_;
  std::unique_ptr<AcceptedConnection> memory_;
};

// An AcceptQueue is between the acceptors of a listener without a callback and the tasks that await
// Listener::accept(). An acceptor accepts only for a task that waits, so all other clients stay in
// the backlog. It is idle, and not in the event queue, when its backlog is reported and no task
// waits.
//
//   the order of a task                   the thread that leads         the order of the connection
//   begin(): waits; idle acceptors resume
//                                         reserve(): a place
//                                         accept(2), Stream::start()
//                                                                       AcceptPlace::deliver()
//   take(), or the destructor gives the connection to the next one
//
// The race: a task begins to wait while an acceptor becomes idle. Both happen under the lock, so
// either the acceptor sees the task, or the task sees that the acceptor is idle.
class AcceptQueue final : public RefCounted {
 public:
  AcceptQueue() = default;
  ~AcceptQueue() override;

  // An acceptor: begins and ends. `why` is what tasks get when all have ended.
  void acceptor_begins();
  void acceptor_ends(Acceptor& acceptor, absl::Status why);

  // Returns a place if a task waits for which nobody has one. If none waits and `may_idle`, the
  // acceptor is idle, and resumes when one does. Throws std::bad_alloc.
  AcceptPlace reserve(Acceptor& acceptor, bool may_idle);

  // An AcceptOperation, in its order.
  bool begin(AcceptOperation& operation, TaskNode& node);
  void cancel(AcceptOperation& operation, const absl::Status& why);

  // A connection that no task has taken goes to the next one.
  void put(std::unique_ptr<AcceptedConnection> accepted);

 private:
  friend class AcceptPlace;

  // What leaves the queue, and is dealt with without the lock.
  struct Leaving;

  void end_place(std::unique_ptr<AcceptedConnection> accepted);
  void give(std::unique_ptr<AcceptedConnection> accepted, Leaving& leaving)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void settle(Leaving& leaving) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void resume_idle();
  Ref<Acceptor> take_idle();
  bool wants_more() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return waiting_.size() > places_;
  }
  bool has_ended() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return acceptors_ == 0 && places_ == 0;
  }

  absl::Mutex mutex_;
  WaitList waiting_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<AcceptedConnection> accepted_ ABSL_GUARDED_BY(mutex_);  // given back
  std::size_t places_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t acceptors_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
  Ref<Acceptor> first_idle_ ABSL_GUARDED_BY(mutex_);  // by Acceptor::next_idle_
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_ACCEPT_QUEUE_H_
