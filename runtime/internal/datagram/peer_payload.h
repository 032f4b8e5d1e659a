#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_PEER_PAYLOAD_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_PEER_PAYLOAD_H_

#include "absl/status/status.h"
#include "epore/runtime/address.h"

namespace epore::internal {

// Notes the peer that an error is about, for peer_of(). The payload is the text of the address,
// which a log shows. Where the text does not say everything, as of a Unix socket whose name is not
// printable, it is the bytes of the sockaddr.
void set_peer(absl::Status& status, const SocketAddress& peer);

// The peer that set_peer() has noted; empty if there is none.
SocketAddress get_peer(const absl::Status& status);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_PEER_PAYLOAD_H_
