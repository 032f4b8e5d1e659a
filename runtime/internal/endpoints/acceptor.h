#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_ACCEPTOR_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_ACCEPTOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/reactor/connection_permits.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/registration.h"

namespace epore::internal {

struct StreamLimits;

// What the acceptors of a listener share. The callback is called concurrently.
struct AcceptSettings {
  AcceptSettings(absl::AnyInvocable<void(Connection&)> callback,
                 std::shared_ptr<const StreamLimits> stream_limits, std::size_t budget)
      : on_accept(std::move(callback)), limits(std::move(stream_limits)), accept_budget(budget) {}

  absl::AnyInvocable<void(Connection&)> on_accept;
  const std::shared_ptr<const StreamLimits> limits;
  const std::size_t accept_budget;
};

// A listening socket. Runs on the thread that leads its reactor, as accepting is a system call and
// no user code: the connection's first callback is run where callbacks run.
//
// Level-triggered with a budget. An edge-triggered listener that met EMFILE would hear of its queue
// again only with the next client (measured on Linux 6.18), a level-triggered one would spin. So
// it pauses: out of the event queue, among those that wait for a permit or a descriptor, with a
// timer as the last resort, because other parts of the program free descriptors too.
//
//   listening --EMFILE, limit--> paused --descriptor freed, or backoff--> one accept --> listening
//       |                          |                                         `--EMFILE--> paused
//       +--------close()-----------+--> closed
class Acceptor final : public PermitWaiter {
 public:
  Acceptor(Ref<Core> core, Reactor& home, OwnedFd fd, const SocketAddress& address,
           std::shared_ptr<AcceptSettings> settings);

  // Begins to listen. Once only.
  absl::Status start();

  // Any thread.
  absl::Status status() const;  // why it has ended, if it was not told to
  void close();
  void resume() override;

  // The thread that leads.
  void run() override;
  std::string describe() const override;
  void shut_down(ShutdownStep) override { close(); }

 private:
  struct Accepted {
    OwnedFd fd;
    SocketAddress peer;
  };

  class Farewell;

  enum class State : std::uint8_t { listening, paused, closed };

  absl::Status begin();
  void accept_ready();
  bool begin_stream();
  void pause_at_limit();
  bool may_go_on_after(int error);
  void pause(const absl::Status& why);
  void go_on();
  void end();
  void expired() override;  // TimerNode

  // Constant after construction.
  const Ref<Core> core_;
  const SocketAddress address_;
  const bool is_wildcard_;

  // Any thread, with release and before a wake(), which has them looked at once more.
  std::atomic<bool> close_asked_{false};
  std::atomic<bool> resume_asked_{false};
  std::atomic<int> fatal_error_{0};  // the errno that ended it; release, acquire

  // The runner only.
  std::shared_ptr<AcceptSettings> settings_;  // null at the end
  Ref<Runnable> farewell_;                    // made beforehand, as the end may not fail
  OwnedFd fd_;
  Accepted in_hand_;  // waits for a permit; empty as a rule
  State state_ = State::closed;
  std::int64_t backoff_ = 0;
  std::int64_t last_log_ = 0;
  int failures_ = 0;          // of single connections, in a row
  std::uint64_t pauses_ = 0;  // not in the log yet
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_ACCEPTOR_H_
