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
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/connect_attempt.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/registration.h"
#include "epore/runtime/options.h"

namespace epore::internal {

// A Connector is an attempt to connect. It resolves the name, tries each address in turn, and gives
// the connected socket to a Stream.
//
//   resolving --addresses--> trying address i --SO_ERROR 0--> done (a Stream begins)
//                               |    ^
//                               +----+ error or its share of the time: address i+1
//   from any: deadline, shutdown, no address left --> done (the callback gets the error)
//
// A Unix socket is connected at once or refused at once, or its listener's backlog is full. Then
// the Connector tries again, by its timer, until the deadline.
//
// A connecting socket becomes writable once, when the attempt has succeeded or failed. SO_ERROR
// says which. It says so once, because reading SO_ERROR clears it (connect(2), EINPROGRESS).
class Connector final : public Registration {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Connection>)>;

  // Begins an attempt. `done` is called exactly once, later, in a run of the Connector. If the
  // runtime is shut down, no thread is left for that. Then `done` is called in this call, which
  // returns null. Throws std::bad_alloc, and the caller still has `done`.
  static Ref<Connector> start(Ref<Core> core, std::string_view address, Callback&& done,
                              const ConnectOptions& options);

  // As start(), for a task whose order is in the options. The last handle closes the connection.
  static ConnectAttempt start_for_task(Ref<Core> core, std::string_view address, Callback&& done,
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

  static Ref<Connector> start(Ref<Core> core, std::string_view address, Callback&& done,
                              const ConnectOptions& options, bool is_of_task);
  void begin(std::string_view address);
  void run_once();
  void resolved(absl::StatusOr<std::vector<SocketAddress>> addresses);
  bool is_cancelled();
  bool is_too_late();
  void take_addresses();
  void try_next();
  absl::Status try_address(const SocketAddress& address);
  bool is_connected(absl::Status& error);
  void drop_socket();
  void succeed();
  void finish(absl::Status error);
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
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;
  bool has_addresses_ = false;
  bool is_finished_ = false;
  bool has_permit_ = false;
  bool is_registered_ = false;
  OwnedFd fd_;
  SocketAddress local_;  // local_ and peer_ are set once the socket is connected
  SocketAddress peer_;
  std::int64_t attempt_deadline_ = kNever;
  std::int64_t backoff_ = 0;
  absl::Status last_error_;

  absl::Mutex mutex_;
  bool is_resolved_ ABSL_GUARDED_BY(mutex_) = false;
  absl::StatusOr<std::vector<SocketAddress>> resolved_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_CONNECTOR_H_
