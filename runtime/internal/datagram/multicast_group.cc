#include "epore/runtime/internal/datagram/multicast_group.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::internal {
namespace {

constexpr int kIpv6MulticastAll = 29;  // of <linux/in6.h>, which some systems have without it

bool is_multicast(const SocketAddress& address) {
  if (address.is_ipv4()) {
    return IN_MULTICAST(
        ntohl(reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr.s_addr));
  }
  if (!address.is_ipv6()) return false;
  return IN6_IS_ADDR_MULTICAST(&reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr);
}

unsigned scope_of(const SocketAddress& address) {
  if (!address.is_ipv6()) return 0;
  return reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_scope_id;
}

// By default a socket gets what is sent to any group that any socket of the machine has joined
// (ip(7), IP_MULTICAST_ALL). Systems before Linux 4.20 go on to do so for IPv6.
void hear_of_own_groups_only(Kernel& kernel, int fd, bool is_ipv6) {
  const int off = 0;
  (void)kernel.setsockopt(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                          is_ipv6 ? kIpv6MulticastAll : IP_MULTICAST_ALL, &off, sizeof off);
}

}  // namespace

MulticastGroup::MulticastGroup(std::string_view call, const SocketAddress& group,
                               const SocketAddress& source, unsigned interface)
    : call_(call),
      group_(group.unmapped()),
      source_(source.unmapped()),
      interface_(interface != 0 ? interface : scope_of(group)) {}

std::string MulticastGroup::text() const {
  const std::string source =
      source_.is_empty() ? "" : absl::StrCat(", source ", source_.to_string());
  return absl::StrCat(call_, "(", group_.to_string(), source, ", interface ", interface_, ")");
}

absl::Status MulticastGroup::check(const SocketAddress& local) const {
  const auto bad = [this](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(text(), ": ", why));
  };
  if (!is_multicast(group_)) return bad("the group is no multicast address");
  const bool has_family =
      group_.is_ipv6() ? local.is_ipv6() : local.is_ipv4() || (local.is_ipv6() && local.is_any());
  if (!has_family) {
    return bad(absl::StrCat("the socket is bound to ", local.to_string(), ", of another family"));
  }
  if (source_.is_empty()) return absl::OkStatus();
  if (source_.is_ipv6() != group_.is_ipv6() || source_.is_unix()) {
    return bad("the source is of another family than the group");
  }
  return absl::OkStatus();
}

absl::Status MulticastGroup::change(Kernel& kernel, int fd, Membership membership) const {
  const bool joins = membership == Membership::join;
  const int level = group_.is_ipv6() ? IPPROTO_IPV6 : IPPROTO_IP;
  SysResult set(0);
  const char* option;
  if (source_.is_empty()) {
    group_req request = {};
    request.gr_interface = interface_;
    std::memcpy(&request.gr_group, group_.data(), group_.size());
    option = joins ? "MCAST_JOIN_GROUP" : "MCAST_LEAVE_GROUP";
    set = kernel.setsockopt(fd, level, joins ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &request,
                            sizeof request);
  } else {
    group_source_req request = {};
    request.gsr_interface = interface_;
    std::memcpy(&request.gsr_group, group_.data(), group_.size());
    std::memcpy(&request.gsr_source, source_.data(), source_.size());
    option = joins ? "MCAST_JOIN_SOURCE_GROUP" : "MCAST_LEAVE_SOURCE_GROUP";
    set = kernel.setsockopt(fd, level, joins ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP,
                            &request, sizeof request);
  }
  if (set.ok() && joins) hear_of_own_groups_only(kernel, fd, group_.is_ipv6());
  if (set.ok()) return absl::OkStatus();
  return errno_status(set.error(), absl::StrCat(text(), ": setsockopt(", option, ")"));
}

}  // namespace epore::internal
