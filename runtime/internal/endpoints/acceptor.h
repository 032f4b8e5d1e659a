#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_ACCEPTOR_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_ACCEPTOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/endpoints/accept_queue.h"
#include "epore/runtime/internal/endpoints/open_sockets.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/connection_permits.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/registration.h"
#include "epore/runtime/internal/stream/stream_limits.h"
#include "epore/runtime/internal/watch/borrowed_fd.h"
#include "epore/runtime/options.h"

namespace epore::internal {

class SocketFile;

// What the acceptors of one listener share. Several threads may call the callback at once.
struct AcceptSettings {
  AcceptSettings(absl::AnyInvocable<void(Connection&)> callback, Ref<AcceptQueue> accept_queue,
                 Ref<const StreamLimits> stream_limits, Ref<OrderState> shared_order,
                 bool order_each, const ListenOptions& options)
      : on_accept(std::move(callback)),
        queue(std::move(accept_queue)),
        limits(std::move(stream_limits)),
        order(std::move(shared_order)),
        has_order_each(order_each && !order),
        accept_budget(options.accept_budget),
        backlog(static_cast<std::size_t>(options.backlog)) {}

  absl::AnyInvocable<void(Connection&)> on_accept;
  const Ref<AcceptQueue> queue;  // not null: tasks accept, and on_accept is null
  const Ref<const StreamLimits> limits;
  const Ref<OrderState> order;  // of all connections; null: each has its own
  const bool has_order_each;    // it is an OrderState, for a coroutine
  const std::size_t accept_budget;
  const std::size_t backlog;
};

// An Acceptor is one listening socket. It runs on the thread that leads its reactor: accepting is a
// system call and no user code. The first callback of a connection runs where callbacks run.
//
// An Acceptor is level-triggered, with a budget of connections for each turn. When descriptors run
// out, neither trigger is right by itself. An edge-triggered listener would hear of its backlog
// only with the next client (measured on Linux 6.18). A level-triggered one would spin. So the
// Acceptor pauses: it leaves the event queue and waits for a permit or a descriptor. A timer
// resumes it as well, because other parts of the program free descriptors too. A run that finds no
// memory pauses it, too.
//
//   listening --EMFILE, limit--> paused --descriptor freed, or backoff--> one accept --> listening
//       |                          |                                         `--EMFILE--> paused
//       +--------close()-----------+--> closed
//
// Where tasks accept, there is also `idle`, which is as `paused`, but until a task waits (see
// AcceptQueue): clients wait, and no task does.
class Acceptor final : public PermitWaiter {
 public:
  // `file`: of a Unix socket with a path; the acceptors of all reactors share it.
  Acceptor(Ref<Core> core, Reactor& home, OwnedFd fd, std::shared_ptr<SocketFile> file,
           const SocketAddress& address, std::shared_ptr<AcceptSettings> settings,
           std::shared_ptr<OpenSockets> sockets);

  // Begins to accept. Called once.
  absl::Status start();

  // Any thread.
  absl::Status status() const;  // the error that ended it; ok after close()
  void close();
  void resume() override;

  // A duplicate of the socket. A file of its own then stays, as somebody else may listen there.
  // Errors: those of fcntl(2); FailedPrecondition if it is closed.
  absl::StatusOr<OwnedFd> duplicate();

  // The thread that leads.
  void run() override;
  std::string describe() const override;
  void shut_down(ShutdownStep step) override;

 private:
  friend class AcceptQueue;

  struct Accepted {
    OwnedFd fd;
    SocketAddress peer;
  };

  class Farewell;

  enum class State : std::uint8_t { listening, paused, idle, closed };

  absl::Status begin();
  void run_once();
  void accept_ready(std::size_t budget);
  void accept_rest();
  bool has_taker(bool may_idle);
  bool begin_stream();
  ConnectionPermits* own_permits() const { return settings_->limits->permits.get(); }
  bool has_permit() const;
  bool take_permit();
  void wait_for_permit();
  void stop_waiting();
  void pause_at_limit();
  bool may_go_on_after(int error);
  void pause(const absl::Status& why);
  void leave_queue();
  void go_on();
  absl::Status why_ended() const;
  void end();
  void expired() override;  // TimerNode

  // Constant after construction.
  const Ref<Core> core_;
  const SocketAddress address_;
  const bool is_wildcard_;
  const std::shared_ptr<OpenSockets> sockets_;  // of the listener, this one included

  // Requests of other threads. They store true (release) and then wake the Acceptor, whose run
  // loads (acquire) or exchanges (acq_rel). A request during a run causes another run
  // (DispatchWord). duplicate() loads close_asked_, too (acquire).
  std::atomic<bool> close_asked_{false};
  std::atomic<bool> resume_asked_{false};
  std::atomic<bool> drain_asked_{false};

  // For duplicate(). No such call comes after the close, so file_ is there during it.
  BorrowedFd calls_;

  // The errno that ended the Acceptor, or 0. The run stores it once (release), any thread loads it
  // (acquire).
  std::atomic<int> fatal_error_{0};

  // The runner only.
  std::shared_ptr<AcceptSettings> settings_;  // null once it has ended
  Ref<Runnable> farewell_;                    // made at the start: end() must not allocate
  OwnedFd fd_;
  std::shared_ptr<SocketFile> file_;       // destroyed before fd_ is closed
  Accepted in_hand_;                       // accepted, but without a permit; usually empty
  AcceptPlace place_;                      // where tasks accept: for the next one, or for in_hand_
  ConnectionPermits* waits_at_ = nullptr;  // those that tell this listener of a free one
  State state_ = State::closed;
  std::int64_t backoff_ = 0;
  std::int64_t last_log_ = 0;
  int failures_ = 0;          // failures of single connections in a row
  std::uint64_t pauses_ = 0;  // since the last line in the log

  // Of the AcceptQueue, under its lock.
  bool is_idle_ = false;
  Ref<Acceptor> next_idle_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_ACCEPTOR_H_
