#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_CONNECTING_SOCKET_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_CONNECTING_SOCKET_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/options.h"

namespace epore::internal {

// A ConnectingSocket is a socket on its way to one address. It does not wait.
//
// It becomes writable once, when it is connected or has failed. SO_ERROR says which. It says so
// once, because reading SO_ERROR clears it (connect(2), EINPROGRESS).
class ConnectingSocket {
 public:
  // Opens a socket and begins to connect it. Errors name the call, the address and the errno.
  static absl::StatusOr<ConnectingSocket> start(Kernel& kernel, const SocketAddress& address,
                                                const ConnectOptions& options);

  // Returns whether it is connected. If it is not, `error` says why; ok: it is still on its way.
  bool is_connected(Kernel& kernel, absl::Status& error);

  const SocketAddress& address() const { return address_; }
  OwnedFd& fd() { return fd_; }

  // The ends of a connected socket, as the system names them.
  const SocketAddress& local() const { return local_; }
  const SocketAddress& peer() const { return peer_; }

 private:
  ConnectingSocket(OwnedFd fd, const SocketAddress& address);
  bool is_on_its_way(Kernel& kernel) const;

  OwnedFd fd_;
  SocketAddress address_;
  SocketAddress local_;
  SocketAddress peer_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_CONNECTING_SOCKET_H_
