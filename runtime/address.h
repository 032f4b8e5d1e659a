#ifndef EPORE_RUNTIME_ADDRESS_H_
#define EPORE_RUNTIME_ADDRESS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

struct sockaddr;

namespace epore {

// A SocketAddress is a numeric IPv4 or IPv6 address with a port, or the address of a Unix socket.
// It is not the name of a host: HostPort holds one.
//
//   absl::StatusOr<epore::SocketAddress> address = epore::SocketAddress::parse("[::1]:8080");
//   std::puts(address->to_string().c_str());
//
// | text             | address                                                                  |
// |------------------|--------------------------------------------------------------------------|
// | 127.0.0.1:80     | IPv4                                                                     |
// | [fe80::1%eth0]:1 | IPv6; the scope is the name or the number of an interface                |
// | unix:/run/x.sock | a Unix socket with a path: it begins with "/", "./" or "../", and has at |
// |                  | most 107 bytes                                                           |
// | unix:@name       | a Unix socket with an abstract name of at most 107 bytes, which is no    |
// |                  | file and goes with its socket                                            |
// | unix:            | a Unix socket without a name, as most clients are; not for parse()       |
//
// A relative path is one of the current directory at each use of it.
//
// Threads, lifetime: a plain value. An empty one has neither address nor port.
//
// See ip(7), ipv6(7), unix(7).
class SocketAddress {
 public:
  SocketAddress() = default;

  // Parses a text of the table. Errors: InvalidArgument, which names the text (its first 100
  // characters) and what is wrong where: those of HostPort::parse(), a host that is no number, a
  // Unix path or name that is empty, too long or has a zero byte, or a path that begins otherwise.
  static absl::StatusOr<SocketAddress> parse(std::string_view text);

  // Copies a sockaddr of IPv4, IPv6 or a Unix socket, without its padding and flow label, so that
  // addresses that mean the same are equal. Returns an empty address for any other family.
  static SocketAddress from_sockaddr(const sockaddr* address, unsigned size);

  bool is_empty() const { return size_ == 0; }
  bool is_ipv4() const;
  bool is_ipv6() const;
  bool is_unix() const;
  bool is_any() const;                                // 0.0.0.0 or [::], with any port
  std::uint16_t port() const;                         // 0 if it has none
  SocketAddress with_port(std::uint16_t port) const;  // itself if it has none

  // The path of a Unix socket, as long as this address lives; "" for any other address. A zero byte
  // follows it.
  std::string_view unix_path() const;

  // Returns the IPv4 address of an IPv4 peer that came to an IPv6 socket, "[::ffff:192.0.2.1]:80",
  // as "192.0.2.1:80". Any other address is returned as it is.
  SocketAddress unmapped() const;

  // Returns a text such as "127.0.0.1:80", "[fe80::1%2]:80" or "unix:/run/x.sock", which parse()
  // takes; "" if empty. A relative path begins with "./". Other programs may have named their Unix
  // sockets with bytes that are not printable: then the text is escaped as in C, for a log only.
  std::string to_string() const;

  // The sockaddr, for system calls.
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(bytes_.data()); }
  unsigned size() const { return size_; }

  // The default would compare all 112 bytes one by one.
  friend bool operator==(const SocketAddress& a, const SocketAddress& b) {
    return a.size_ == b.size_ && std::memcmp(a.bytes_.data(), b.bytes_.data(), a.size_) == 0;
  }

 private:
  bool has_family(int family) const;
  void set(const void* address, std::size_t size);

  // As large as a sockaddr_un, and a zero byte.
  alignas(4) std::array<std::byte, 112> bytes_ = {};
  std::uint32_t size_ = 0;
};

// The two parts of a "HOST:PORT". The host is a name or a number, without brackets. Some hosts
// stand for several addresses, the same on every machine and whatever net.ipv6.bindv6only says:
//
// | text      | Runtime::listen()                               | Runtime::connect()          |
// |-----------|-------------------------------------------------|-----------------------------|
// | 0.0.0.0:1 | every IPv4 address                              | this machine, by IPv4       |
// | [::]:1    | every address; IPv4 clients as [::ffff:1.2.3.4] | this machine, by IPv6       |
// | :1        | every address, by a socket for each family      | the loopback, IPv4 first    |
// | *:1       | the same                                        | InvalidArgument             |
// | NAME:1    | each address of the name, by a socket for each  | the first address of the    |
// |           |                                                 | name that connects          |
struct HostPort {
  std::string host;
  std::uint16_t port = 0;

  // Parses `text`. The host may be empty. Errors: InvalidArgument, which names the text (its first
  // 100 characters) and the part: a URL, a path, no port, a port above 65535, a name or label that
  // is too long (253 without a final dot, and 63, RFC 1035), a zero byte, IPv6 without brackets,
  // brackets around anything else, or a scope ("%eth0") that is no interface of this machine.
  static absl::StatusOr<HostPort> parse(std::string_view text);
};

}  // namespace epore

#endif  // EPORE_RUNTIME_ADDRESS_H_
