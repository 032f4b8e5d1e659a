#ifndef EPORE_RUNTIME_INTERNAL_NET_ADDRESS_ORDER_H_
#define EPORE_RUNTIME_INTERNAL_NET_ADDRESS_ORDER_H_

#include <vector>

#include "epore/runtime/address.h"

namespace epore::internal {

// Returns the addresses in the order in which they are tried (RFC 8305, section 4): the family of
// the first one and the other family in turn, and each family in the order that it had. The
// resolver has sorted them by preference (RFC 6724), so its first address stays the first.
std::vector<SocketAddress> interleave_families(const std::vector<SocketAddress>& addresses);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_ADDRESS_ORDER_H_
