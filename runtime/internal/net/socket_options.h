#ifndef EPORE_RUNTIME_INTERNAL_NET_SOCKET_OPTIONS_H_
#define EPORE_RUNTIME_INTERNAL_NET_SOCKET_OPTIONS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/address.h"
#include "epore/runtime/options.h"

namespace epore::internal {

// A non-blocking, close-on-exec TCP socket for that kind of address. `error`, if any, gets the
// errno.
absl::StatusOr<OwnedFd> open_tcp_socket(Kernel& kernel, const SocketAddress& address,
                                        int* error = nullptr);

// setsockopt(2) of an int; `name` is for the error.
absl::Status set_option(Kernel& kernel, int fd, int level, int option, int value, const char* name);

// What ConnectionOptions say of the socket. A listener's are inherited by what it accepts.
absl::Status set_connection_options(Kernel& kernel, int fd, const ConnectionOptions& options);

// getsockname(2); empty if the system refuses.
SocketAddress local_address_of(Kernel& kernel, int fd);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_SOCKET_OPTIONS_H_
