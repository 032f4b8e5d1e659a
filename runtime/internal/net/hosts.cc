#include "epore/runtime/internal/net/hosts.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/base/printable.h"

namespace epore::internal {

std::optional<absl::StatusOr<std::vector<SocketAddress>>> find_host(
    const std::map<std::string, std::vector<std::string>>& hosts, const HostPort& host_port) {
  // Upper and lower case are the same in names (RFC 4343), and not for the map.
  const auto found = std::find_if(hosts.begin(), hosts.end(), [&](const auto& host) {
    return absl::EqualsIgnoreCase(host.first, host_port.host);
  });
  if (found == hosts.end()) return std::nullopt;
  std::vector<SocketAddress> addresses;
  for (const std::string& text : found->second) {
    const absl::StatusOr<SocketAddress> address = SocketAddress::parse(text);
    if (!address.ok()) return address.status();
    addresses.push_back(address->port() != 0 ? *address : address->with_port(host_port.port));
  }
  if (addresses.empty()) {
    return absl::NotFoundError(absl::StrCat("resolving \"", printable(host_port.host),
                                            "\": RuntimeOptions::hosts has no address of it"));
  }
  return addresses;
}

}  // namespace epore::internal
