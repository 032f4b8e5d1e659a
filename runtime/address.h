#ifndef EPORE_RUNTIME_ADDRESS_H_
#define EPORE_RUNTIME_ADDRESS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

struct sockaddr;

namespace epore {

// A numeric address and port, IPv4 or IPv6: a sockaddr without its headers. A value type.
//
//   absl::StatusOr<epore::SocketAddress> address = epore::SocketAddress::parse("[::1]:8080");
//
// Prints as "127.0.0.1:80" and "[fe80::1%2]:80"; an empty one as "". See ip(7), ipv6(7).
class SocketAddress {
 public:
  SocketAddress() = default;

  // Numbers only, no names: "127.0.0.1:80", "[::1]:80". InvalidArgument says what is wrong.
  static absl::StatusOr<SocketAddress> parse(std::string_view text);

  // Copies a sockaddr of IPv4 or IPv6; empty for any other family.
  static SocketAddress from_sockaddr(const sockaddr* address, unsigned size);

  bool is_empty() const { return size_ == 0; }
  bool is_ipv4() const;
  bool is_ipv6() const;
  std::uint16_t port() const;                         // 0 of an empty one
  SocketAddress with_port(std::uint16_t port) const;  // an empty one stays empty
  std::string to_string() const;

  // For system calls.
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(bytes_.data()); }
  unsigned size() const { return size_; }

  friend bool operator==(const SocketAddress& a, const SocketAddress& b) = default;

 private:
  alignas(4) std::array<std::byte, 28> bytes_ = {};  // the larger of the two, sockaddr_in6
  std::uint32_t size_ = 0;
};

// "HOST:PORT" taken apart: a name or number, brackets removed, and a port.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;

  // The host may be empty. InvalidArgument names the text and the part: no colon, port above 65535,
  // name or label too long (253 and 63, RFC 1035), a zero byte, IPv6 without brackets, or brackets
  // around something else.
  static absl::StatusOr<HostPort> parse(std::string_view text);
};

}  // namespace epore

#endif  // EPORE_RUNTIME_ADDRESS_H_
