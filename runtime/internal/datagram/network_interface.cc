#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/printable.h"
#include "epore/runtime/udp.h"

namespace epore {
namespace {

// An address without a port; empty if `text` is none.
SocketAddress parse_address(std::string_view text) {
  const bool is_ipv6 = text.find(':') != std::string_view::npos;
  const std::string with_port = is_ipv6 ? absl::StrCat("[", text, "]:0") : absl::StrCat(text, ":0");
  return SocketAddress::parse(with_port).value_or(SocketAddress());
}

// Whether `address` is the wanted one. A wanted one without a scope may have any.
bool is_same(const SocketAddress& wanted, const sockaddr* address) {
  if (address == nullptr || address->sa_family != wanted.data()->sa_family) return false;
  if (wanted.is_ipv4()) {
    return reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in*>(wanted.data())->sin_addr.s_addr;
  }
  const auto& a = *reinterpret_cast<const sockaddr_in6*>(address);
  const auto& b = *reinterpret_cast<const sockaddr_in6*>(wanted.data());
  return IN6_ARE_ADDR_EQUAL(&a.sin6_addr, &b.sin6_addr) &&
         (b.sin6_scope_id == 0 || b.sin6_scope_id == a.sin6_scope_id);
}

}  // namespace

absl::StatusOr<unsigned> network_interface(std::string_view name_or_address) {
  const auto failed = [&](int error, const char* call) {
    return errno_status(error, absl::StrCat("network_interface(\"",
                                            internal::printable(name_or_address), "\"): ", call));
  };
  const auto unknown = [&] {
    return absl::NotFoundError(
        absl::StrCat("network_interface(\"", internal::printable(name_or_address),
                     "\"): no interface of this machine has this name or address"));
  };
  const std::string name(name_or_address);
  if (name.find('\0') != std::string::npos) return unknown();
  if (const unsigned number = ::if_nametoindex(name.c_str()); number != 0) return number;
  if (errno != ENODEV && errno != ENXIO) return failed(errno, "if_nametoindex");
  const SocketAddress address = parse_address(name);
  if (address.is_empty()) return unknown();
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return failed(errno, "getifaddrs");
  const absl::Cleanup free = [list] { ::freeifaddrs(list); };
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    if (!is_same(address, i->ifa_addr)) continue;
    const unsigned number = ::if_nametoindex(i->ifa_name);
    if (number != 0) return number;  // else it has gone meanwhile
  }
  return unknown();
}

}  // namespace epore
