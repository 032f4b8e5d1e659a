#include "epore/runtime/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "epore/runtime/internal/base/printable.h"

namespace epore {
namespace {

static_assert(sizeof(sockaddr_un) == 110 && sizeof(sockaddr_in6) <= 110);

constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kPathOffset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t kLongestName = sizeof(sockaddr_un::sun_path) - 1;

using internal::printable;

absl::Status bad_address(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("address \"", printable(text), "\": ", why));
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The scope of an IPv6 address: the number of an interface ("%2") or its name ("%eth0").
bool parse_scope(const std::string& scope, std::uint32_t& number) {
  if (is_number(scope)) return absl::SimpleAtoi(scope, &number);
  number = scope.empty() ? 0 : ::if_nametoindex(scope.c_str());
  return number != 0;
}

enum class Ipv6 { none, bad_scope, good };

// Takes "::1" and "fe80::1%eth0".
Ipv6 parse_ipv6(std::string_view host, in6_addr& address, std::uint32_t& scope) {
  const std::size_t percent = host.find('%');
  if (::inet_pton(AF_INET6, std::string(host.substr(0, percent)).c_str(), &address) != 1) {
    return Ipv6::none;
  }
  if (percent == std::string_view::npos) return Ipv6::good;
  return parse_scope(std::string(host.substr(percent + 1)), scope) ? Ipv6::good : Ipv6::bad_scope;
}

// Addresses of other kinds, which people write in good faith; empty if it is none of them.
std::string_view other_kind(std::string_view text) {
  if (absl::StrContains(text, "://")) {
    return "a URL is no address: give HOST:PORT alone, as in example.com:80";
  }
  if (absl::StartsWith(text, kUnix)) return "a Unix socket has no host and no port";
  if (absl::StartsWith(text, "/") || absl::StartsWith(text, "@")) {
    return "a Unix socket is written unix:/run/x.sock or unix:@name";
  }
  if (absl::StrContains(text, '/')) return "an address has no path: give HOST:PORT alone";
  return "";
}

// Whether a terminal and a log can show it as it is.
bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

absl::Status check_unix(std::string_view text, std::string_view name) {
  const bool is_abstract = absl::StartsWith(name, "@");
  const std::string_view what = is_abstract ? "the name" : "the path";
  if (is_abstract) name.remove_prefix(1);
  if (name.empty()) {
    return bad_address(text, is_abstract ? "no name behind \"@\"" : "no path behind \"unix:\"");
  }
  if (const std::size_t zero = name.find('\0'); zero != std::string_view::npos) {
    return bad_address(text, absl::StrCat(what, " has a zero byte at its position ", zero));
  }
  if (name.size() > kLongestName) {
    return bad_address(text, absl::StrCat(what, " has ", name.size(), " bytes, and may have ",
                                          kLongestName, " (unix(7))"));
  }
  // A "unix:80" may as well be meant as a host and its port.
  if (is_abstract || absl::StartsWith(name, "/") || absl::StartsWith(name, "./") ||
      absl::StartsWith(name, "../")) {
    return absl::OkStatus();
  }
  return bad_address(text, "a Unix path begins with \"/\" or \"./\", an abstract name with \"@\"");
}

}  // namespace

absl::StatusOr<HostPort> HostPort::parse(std::string_view text) {
  if (const std::string_view why = other_kind(text); !why.empty()) return bad_address(text, why);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_address(text, "no \":PORT\" at the end");
  if (text.back() == ']') return bad_address(text, "no \":PORT\" behind \"]\", as in [::1]:80");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  HostPort result;
  std::uint32_t port = 0;
  if (!is_number(digits) || !absl::SimpleAtoi(digits, &port) || port > 65535) {
    return bad_address(
        text, absl::StrCat("the port \"", printable(digits), "\" is no number up to 65535"));
  }
  result.port = static_cast<std::uint16_t>(port);
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') return bad_address(text, "\"[\" without \"]\"");
    host = host.substr(1, host.size() - 2);
    in6_addr ignored;
    std::uint32_t scope = 0;
    const Ipv6 parsed = parse_ipv6(host, ignored, scope);
    if (parsed == Ipv6::none) {
      return bad_address(text, absl::StrCat("\"", printable(host), "\" is no IPv6 address"));
    }
    if (parsed == Ipv6::bad_scope) {
      return bad_address(text, absl::StrCat("\"", printable(host.substr(host.find('%') + 1)),
                                            "\" is no interface of this machine"));
    }
  } else if (host.find(':') != std::string_view::npos) {
    return bad_address(text, "an IPv6 address needs brackets, as in [::1]:80");
  }
  if (host.find('\0') != std::string_view::npos) return bad_address(text, "a zero byte");
  // RFC 1035, 2.3.4; a final dot, of the root, does not count.
  std::string_view name = host;
  if (absl::EndsWith(name, ".")) name.remove_suffix(1);
  if (name.size() > 253) return bad_address(text, "the name is longer than 253 characters");
  for (std::string_view label : absl::StrSplit(name, '.')) {
    if (label.size() > 63) {
      return bad_address(text,
                         absl::StrCat("the label \"", printable(label), "\" is longer than 63"));
    }
  }
  result.host = std::string(host);
  return result;
}

absl::StatusOr<SocketAddress> SocketAddress::parse(std::string_view text) {
  if (absl::StartsWith(text, kUnix)) {
    const std::string_view name = text.substr(kUnix.size());
    if (absl::Status bad = check_unix(text, name); !bad.ok()) return bad;
    sockaddr_un local = {};
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, name.data(), name.size());
    const bool is_abstract = name.front() == '@';
    if (is_abstract) local.sun_path[0] = '\0';
    const std::size_t size = kPathOffset + name.size() + (is_abstract ? 0 : 1);
    return from_sockaddr(reinterpret_cast<const sockaddr*>(&local), static_cast<unsigned>(size));
  }
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
  if (parse_ipv6(host, v6.sin6_addr, v6.sin6_scope_id) == Ipv6::good) {
    return from_sockaddr(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  return bad_address(text, absl::StrCat("\"", printable(host), "\" is no IPv4 or IPv6 address"));
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr* address, unsigned size) {
  SocketAddress result;
  sa_family_t family;
  if (address == nullptr || size < sizeof family) return result;
  std::memcpy(&family, &address->sa_family, sizeof family);
  // Without what does not tell addresses apart: padding, and the flow label of IPv6.
  if (family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    std::memset(v4.sin_zero, 0, sizeof v4.sin_zero);
    result.set(&v4, sizeof v4);
  } else if (family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    v6.sin6_flowinfo = 0;
    result.set(&v6, sizeof v6);
  } else if (family == AF_UNIX) {
    sockaddr_un local = {};
    // A path may fill the array, and then has no zero byte (unix(7), "BUGS").
    std::size_t length = std::min<std::size_t>(size, sizeof local);
    std::memcpy(&local, address, length);
    if (length > kPathOffset && local.sun_path[0] != '\0') {
      length = kPathOffset + ::strnlen(local.sun_path, length - kPathOffset);
      length = std::min(length + 1, sizeof local);
    }
    result.set(&local, length);
  }
  return result;
}

void SocketAddress::set(const void* address, std::size_t size) {
  std::memcpy(bytes_.data(), address, size);
  size_ = static_cast<std::uint32_t>(size);
}

bool SocketAddress::has_family(int family) const {
  return size_ != 0 && data()->sa_family == family;
}

bool SocketAddress::is_ipv4() const { return has_family(AF_INET); }

bool SocketAddress::is_ipv6() const { return has_family(AF_INET6); }

bool SocketAddress::is_unix() const { return has_family(AF_UNIX); }

std::string_view SocketAddress::unix_path() const {
  if (!is_unix()) return "";
  const auto* path = reinterpret_cast<const char*>(bytes_.data()) + kPathOffset;
  return std::string_view(path);  // of an abstract name: its first byte is zero
}

std::uint16_t SocketAddress::port() const {
  if (is_unix()) return 0;
  // At the same place in both.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  in_port_t port = 0;
  std::memcpy(&port, bytes_.data() + offsetof(sockaddr_in, sin_port), sizeof port);
  return ntohs(port);
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress result = *this;
  const in_port_t number = htons(port);
  if (!is_empty() && !is_unix()) {
    std::memcpy(result.bytes_.data() + offsetof(sockaddr_in, sin_port), &number, sizeof number);
  }
  return result;
}

SocketAddress SocketAddress::unmapped() const {
  if (!is_ipv6()) return *this;
  sockaddr_in6 v6;
  std::memcpy(&v6, bytes_.data(), sizeof v6);
  if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return *this;
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = v6.sin6_port;
  std::memcpy(&v4.sin_addr, v6.sin6_addr.s6_addr + 12, sizeof v4.sin_addr);
  return from_sockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}

bool SocketAddress::is_any() const {
  if (is_ipv4()) {
    sockaddr_in v4;
    std::memcpy(&v4, bytes_.data(), sizeof v4);
    return v4.sin_addr.s_addr == INADDR_ANY;
  }
  if (!is_ipv6()) return false;
  sockaddr_in6 v6;
  std::memcpy(&v6, bytes_.data(), sizeof v6);
  return IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
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
  if (is_unix()) {
    std::string_view name = unix_path();
    std::string_view prefix;
    if (!name.empty()) {
      const bool needs_prefix = !absl::StartsWith(name, "/") && !absl::StartsWith(name, "./") &&
                                !absl::StartsWith(name, "../");
      if (needs_prefix) prefix = "./";
    } else if (size_ > kPathOffset) {
      prefix = "@";
      name = std::string_view(reinterpret_cast<const char*>(bytes_.data()) + kPathOffset + 1,
                              size_ - kPathOffset - 1);
    }
    return absl::StrCat(kUnix, prefix,
                        is_printable(name) ? std::string(name) : absl::CHexEscape(name));
  }
  return "";
}

}  // namespace epore
