#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_LISTENER_STATE_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_LISTENER_STATE_H_

#include <memory>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/internal/endpoints/accept_queue.h"
#include "epore/runtime/internal/endpoints/acceptor.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/options.h"

namespace epore::internal {

// A ListenerState is what a Listener names: its acceptors, one for each address and reactor.
class ListenerState {
 public:
  // `has_tasks`: on_accept starts a task in the order of each connection. Null: tasks accept.
  static absl::StatusOr<std::shared_ptr<ListenerState>> open(
      Ref<Core> core, std::string_view address, absl::AnyInvocable<void(Connection&)> on_accept,
      bool has_tasks, const ListenOptions& options);

  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  absl::Status status() const;
  absl::StatusOr<std::vector<OwnedFd>> descriptors() const;
  void close();
  absl::Status close_and_wait();

  // Of a listener without a callback, or null.
  const Ref<AcceptQueue>& queue() const { return queue_; }

 private:
  Ref<Core> core_;
  Ref<AcceptQueue> queue_;
  std::shared_ptr<OpenSockets> sockets_;
  std::vector<SocketAddress> addresses_;
  std::vector<Ref<Acceptor>> acceptors_;
  std::vector<Ref<Acceptor>> distinct_;  // those whose sockets are not duplicates of others
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_LISTENER_STATE_H_
