#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_CONNECTOR_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_CONNECTOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/address.h"
#include "epore/runtime/connect_attempt.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/endpoints/connecting_socket.h"
#include "epore/runtime/internal/endpoints/destination.h"
#include "epore/runtime/internal/net/resolver.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/registration.h"
#include "epore/runtime/options.h"

namespace epore::internal {

// A Connector is an attempt to connect. It resolves the name, lets the addresses race (RFC 8305,
// "Happy Eyeballs"), and gives the first connected socket to a Stream.
//
//   resolving --addresses--> racing --a socket is connected--> done (a Stream begins)
//                            |    ^
//                            +----+ a socket has failed, or connection_attempt_delay has passed:
//                                   the next address joins
//   from any: deadline, shutdown, every address failed --> done (the callback gets the error)
//
// All its sockets are registered under its one token. So an event means "look at all of them",
// which is cheap: they are few, and a late event of a socket that has been closed does no harm.
//
// A Unix socket is connected at once or refused at once, or its listener's backlog is full. Then
// the Connector tries again, by its timer, until the deadline.
class Connector final : public Registration {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Connection>)>;

  // Begins an attempt. `done` is called exactly once, later, in a run of the Connector. If the
  // runtime is shut down, no thread is left for that. Then `done` is called in this call, which
  // returns null. Throws std::bad_alloc, and the caller still has `done`.
  static Ref<Connector> start(Ref<Core> core, const Destination& to, Callback&& done,
                              const ConnectOptions& options);

  // As start(), for a task whose order is in the options. The last handle closes the connection.
  static ConnectAttempt start_for_task(Ref<Core> core, const Destination& to, Callback&& done,
                                       const ConnectOptions& options);

  Connector(Ref<Core> core, Reactor& home, Callback&& done, const ConnectOptions& options,
            bool is_of_task);
  ~Connector() override;

  // Any thread: see ConnectAttempt::cancel().
  bool cancel();

  void run() override;
  std::string describe() const override { return "an attempt to connect"; }
  void queue_in_order(Ref<Runnable> self) override { order_->push(std::move(self)); }
  void shut_down(ShutdownStep) override;

 private:
  class Told;
  class Refusal;

  static Ref<Connector> start(Ref<Core> core, const Destination& to, Callback&& done,
                              const ConnectOptions& options, bool is_of_task);
  void begin(const Destination& to);
  void run_once();
  void resolved(absl::StatusOr<std::vector<SocketAddress>> addresses);
  bool is_cancelled();
  void take_addresses();
  bool has_connected(std::int64_t now);
  void start_due(std::int64_t now);
  absl::Status try_address(const SocketAddress& address);
  absl::Status watch(ConnectingSocket& socket, bool is_registered);
  void drop(std::size_t index);
  void drop_all();
  void succeed(std::size_t winner);
  void finish(absl::Status error);
  void note_failure(const absl::Status& error);
  std::string failures() const;
  absl::Status failure_error() const;
  absl::Status timeout_error() const;
  absl::Status cancelled_error() const;
  absl::Status shutdown_error() const;
  absl::Status end_error() const;
  absl::Status cancelled(std::string_view why) const;
  void expired() override;  // TimerNode

  // Constant after construction.
  const Ref<Core> core_;
  const ConnectOptions options_;
  const Ref<OrderState> order_;  // null: none
  const std::int64_t deadline_;
  const std::int64_t attempt_delay_;

  // Stored by the shutdown or cancel() (release), before a wake; loaded by the run (acquire). A
  // request during a run causes another run (DispatchWord).
  std::atomic<bool> is_cancelled_{false};

  // What the callback gets. The race: cancel() comes while the runner is about to call the
  // callback. cancel() replaces `open` by a compare-exchange, the runner exchanges, both acq_rel.
  // The first one decides.
  enum class Answer : std::uint8_t { open, cancelled, told };
  std::atomic<Answer> answer_{Answer::open};

  const bool is_of_task_;

  // The runner only.
  Callback done_;
  std::string target_;
  Resolver::Ticket lookup_ = 0;
  std::vector<SocketAddress> addresses_;
  std::vector<ConnectingSocket> sockets_;  // in the race, registered
  std::size_t next_ = 0;                   // of addresses_: the next one to join
  std::int64_t next_start_ = 0;            // when it joins, if none fails before
  std::int64_t backoff_ = 0;
  bool has_addresses_ = false;
  bool is_finished_ = false;
  bool has_permit_ = false;   // one for all sockets, as one becomes a connection
  std::size_t untried_ = 0;   // addresses beyond max_addresses
  std::size_t failed_ = 0;    // addresses
  absl::Status last_error_;   // the one that says most
  std::string failures_;      // the texts of the first ones
  std::string last_failure_;  // of the last one, if it is not among them

  absl::Mutex mutex_;
  bool is_resolved_ ABSL_GUARDED_BY(mutex_) = false;
  absl::StatusOr<std::vector<SocketAddress>> resolved_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_CONNECTOR_H_
