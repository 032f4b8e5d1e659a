#ifndef EPORE_EXAMPLES_PROXY_PROTOCOL_H_
#define EPORE_EXAMPLES_PROXY_PROTOCOL_H_

#include <string>

#include "epore/runtime/address.h"

namespace examples {

// The header of the PROXY protocol, version 2, with which a proxy tells an origin who its client
// is: `client` has connected to `proxy`. Addresses that are not both IPv4 or both IPv6 are not
// told: a Unix socket says only that there is a proxy.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
std::string proxy_header(const epore::SocketAddress& client, const epore::SocketAddress& proxy);

}  // namespace examples

#endif  // EPORE_EXAMPLES_PROXY_PROTOCOL_H_
