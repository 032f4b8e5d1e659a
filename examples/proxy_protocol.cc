#include "examples/proxy_protocol.h"

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "epore/runtime/address.h"

namespace examples {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr char kProxied = 0x21;  // version 2, and this connection is for a client
constexpr char kUnknown = 0x00;
constexpr char kTcp4 = 0x11;
constexpr char kTcp6 = 0x21;

// The bytes of an address in network order, without the port.
std::string_view host_bytes(const epore::SocketAddress& address) {
  const char* const bytes = reinterpret_cast<const char*>(address.data());
  if (address.is_ipv4()) return {bytes + offsetof(sockaddr_in, sin_addr), sizeof(in_addr)};
  return {bytes + offsetof(sockaddr_in6, sin6_addr), sizeof(in6_addr)};
}

std::string two_bytes(std::size_t number) {
  return {static_cast<char>(number >> 8), static_cast<char>(number & 255)};
}

}  // namespace

std::string proxy_header(const epore::SocketAddress& client, const epore::SocketAddress& proxy) {
  const epore::SocketAddress from = client.unmapped();
  const epore::SocketAddress to = proxy.unmapped();
  std::string addresses;
  char family = kUnknown;
  if ((from.is_ipv4() && to.is_ipv4()) || (from.is_ipv6() && to.is_ipv6())) {
    family = from.is_ipv4() ? kTcp4 : kTcp6;
    addresses.append(host_bytes(from)).append(host_bytes(to));
    addresses.append(two_bytes(from.port())).append(two_bytes(to.port()));
  }
  std::string header(kSignature);
  header.append({kProxied, family}).append(two_bytes(addresses.size())).append(addresses);
  return header;
}

}  // namespace examples
