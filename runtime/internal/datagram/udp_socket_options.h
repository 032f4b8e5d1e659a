#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_SOCKET_OPTIONS_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_SOCKET_OPTIONS_H_

#include "absl/status/status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/address.h"
#include "epore/runtime/udp.h"

namespace epore::internal {

// Sets what `options` ask for, before the socket is bound to `address`. Errors: those of
// setsockopt(2), which name the option, and that of UdpOptions::on_socket.
absl::Status set_udp_options(Kernel& kernel, int fd, const SocketAddress& address,
                             const UdpOptions& options);

// The same for a Unix socket, which has only the options of all sockets.
absl::Status set_unix_datagram_options(Kernel& kernel, int fd, const UdpOptions& options);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_SOCKET_OPTIONS_H_
