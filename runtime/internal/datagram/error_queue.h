#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_ERROR_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_ERROR_QUEUE_H_

#include <optional>

#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/address.h"

namespace epore::internal {

// What ICMP has reported of a datagram that a socket has sent.
struct PeerError {
  SocketAddress peer;  // where the datagram was sent to
  int error;           // an errno
};

// Lets the system keep what ICMP reports in the socket's error queue (ip(7), IP_RECVERR). From then
// on an error is also what the next send or receive fails with, whatever its address is.
// `has_ipv4`: an IPv6 socket that has IPv4 peers as well.
SysResult keep_errors(Kernel& kernel, int fd, bool is_ipv6, bool has_ipv4);

// Takes the first error out of the queue. No value: there is none, or the system refuses.
std::optional<PeerError> take_error(Kernel& kernel, int fd);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_ERROR_QUEUE_H_
