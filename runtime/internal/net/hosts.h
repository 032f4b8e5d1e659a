#ifndef EPORE_RUNTIME_INTERNAL_NET_HOSTS_H_
#define EPORE_RUNTIME_INTERNAL_NET_HOSTS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "epore/runtime/address.h"

namespace epore::internal {

// Returns what `hosts`, the checked RuntimeOptions::hosts, say of a name: its addresses, or
// NotFound if it has none. No value: they do not have the name, and the system is to be asked.
std::optional<absl::StatusOr<std::vector<SocketAddress>>> find_host(
    const std::map<std::string, std::vector<std::string>>& hosts, const HostPort& host_port);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_HOSTS_H_
