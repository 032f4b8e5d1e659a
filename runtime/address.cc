#include "epore/runtime/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace epore {
namespace {

static_assert(sizeof(sockaddr_in6) == 28 && sizeof(sockaddr_in) <= 28);

absl::Status bad_address(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("address \"", text, "\": ", why));
}

// Numbers of an interface scope ("%2") or names ("%eth0").
bool parse_scope(const std::string& scope, std::uint32_t& number) {
  if (absl::SimpleAtoi(scope, &number)) return true;
  number = ::if_nametoindex(scope.c_str());
  return number != 0;
}

}  // namespace

absl::StatusOr<HostPort> HostPort::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_address(text, "no \":PORT\" at the end");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  HostPort result;
  std::uint32_t port = 0;
  const bool is_number = !digits.empty() &&
                         digits.find_first_not_of("0123456789") == std::string_view::npos &&
                         absl::SimpleAtoi(digits, &port);
  if (!is_number || port > 65535) {
    return bad_address(text, absl::StrCat("the port \"", digits, "\" is no number up to 65535"));
  }
  result.port = static_cast<std::uint16_t>(port);
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') return bad_address(text, "\"[\" without \"]\"");
    host = host.substr(1, host.size() - 2);
    in6_addr ignored;
    const std::string number(host.substr(0, host.find('%')));
    if (::inet_pton(AF_INET6, number.c_str(), &ignored) != 1) {
      return bad_address(text, absl::StrCat("\"", host, "\" is no IPv6 address"));
    }
  } else if (host.find(':') != std::string_view::npos) {
    return bad_address(text, "an IPv6 address needs brackets, as in [::1]:80");
  }
  if (host.find('\0') != std::string_view::npos) return bad_address(text, "a zero byte");
  // RFC 1035, 2.3.4.
  if (host.size() > 253) return bad_address(text, "the name is longer than 253 characters");
  for (std::string_view label : absl::StrSplit(host, '.')) {
    if (label.size() > 63) {
      return bad_address(text, absl::StrCat("the label \"", label, "\" is longer than 63"));
    }
  }
  result.host = std::string(host);
  return result;
}

absl::StatusOr<SocketAddress> SocketAddress::parse(std::string_view text) {
  absl::StatusOr<HostPort> parsed = HostPort::parse(text);
  if (!parsed.ok()) return parsed.status();
  const std::string& host = parsed->host;
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(parsed->port);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    return from_sockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(parsed->port);
  const std::size_t percent = host.find('%');
  if (::inet_pton(AF_INET6, host.substr(0, percent).c_str(), &v6.sin6_addr) == 1) {
    if (percent != std::string::npos && !parse_scope(host.substr(percent + 1), v6.sin6_scope_id)) {
      return bad_address(text, "no such interface");
    }
    return from_sockaddr(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  return bad_address(text, absl::StrCat("\"", host, "\" is no IPv4 or IPv6 address"));
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr* address, unsigned size) {
  SocketAddress result;
  sa_family_t family;
  if (address == nullptr || size < sizeof family) return result;
  std::memcpy(&family, &address->sa_family, sizeof family);
  const std::size_t expected = family == AF_INET    ? sizeof(sockaddr_in)
                               : family == AF_INET6 ? sizeof(sockaddr_in6)
                                                    : 0;
  if (expected == 0 || size < expected) return result;
  std::memcpy(result.bytes_.data(), address, expected);
  result.size_ = static_cast<std::uint32_t>(expected);
  return result;
}

bool SocketAddress::is_ipv4() const { return size_ == sizeof(sockaddr_in); }

bool SocketAddress::is_ipv6() const { return size_ == sizeof(sockaddr_in6); }

std::uint16_t SocketAddress::port() const {
  // At the same place in both.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  in_port_t port = 0;
  std::memcpy(&port, bytes_.data() + offsetof(sockaddr_in, sin_port), sizeof port);
  return ntohs(port);
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress result = *this;
  const in_port_t number = htons(port);
  if (!is_empty()) {
    std::memcpy(result.bytes_.data() + offsetof(sockaddr_in, sin_port), &number, sizeof number);
  }
  return result;
}

std::string SocketAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_ipv4()) {
    sockaddr_in v4;
    std::memcpy(&v4, bytes_.data(), sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return absl::StrCat(text, ":", port());
  }
  if (is_ipv6()) {
    sockaddr_in6 v6;
    std::memcpy(&v6, bytes_.data(), sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    const std::string scope = v6.sin6_scope_id != 0 ? absl::StrCat("%", v6.sin6_scope_id) : "";
    return absl::StrCat("[", text, scope, "]:", port());
  }
  return "";
}

}  // namespace epore
