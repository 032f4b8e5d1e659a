#ifndef EPORE_RUNTIME_INTERNAL_NET_SOCKET_OPTIONS_H_
#define EPORE_RUNTIME_INTERNAL_NET_SOCKET_OPTIONS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/options.h"

namespace epore::internal {

// Opens a non-blocking, close-on-exec stream socket of the family of `address`. Stores the errno,
// or 0, in `error` unless it is null.
absl::StatusOr<OwnedFd> open_stream_socket(Kernel& kernel, const SocketAddress& address,
                                           int* error = nullptr);

// Sets the socket options that `options` ask for, before the socket is bound or connected. A Unix
// socket has none of TCP and IP. An accepted socket inherits those of its listener.
enum class SocketUse : bool { connects, listens };
absl::Status set_connection_options(Kernel& kernel, int fd, const SocketAddress& address,
                                    const ConnectionOptions& options, SocketUse use);

// Binds a socket that will connect to `peer`, which is of the same family: ConnectOptions::local.
// Errors: those of bind(2).
absl::Status bind_local(Kernel& kernel, int fd, const SocketAddress& local,
                        const SocketAddress& peer);

// Returns the address of getsockname(2), or an empty one if the call fails.
SocketAddress local_address_of(Kernel& kernel, int fd);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_SOCKET_OPTIONS_H_
