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

// Takes the first error out of the error queue of a socket with IP_RECVERR or IPV6_RECVERR (ip(7)).
// With these an error is also what the next send or receive fails with, whatever its address is. No
// value: there is none, or the system refuses.
std::optional<PeerError> take_error(Kernel& kernel, int fd);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_ERROR_QUEUE_H_
