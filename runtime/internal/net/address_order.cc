#include "epore/runtime/internal/net/address_order.h"

#include <algorithm>
#include <cstddef>

namespace epore::internal {

std::vector<SocketAddress> interleave_families(const std::vector<SocketAddress>& addresses) {
  if (addresses.empty()) return {};
  const bool is_ipv6_first = addresses.front().is_ipv6();
  std::vector<SocketAddress> first;
  std::vector<SocketAddress> second;
  for (const SocketAddress& address : addresses) {
    (address.is_ipv6() == is_ipv6_first ? first : second).push_back(address);
  }
  std::vector<SocketAddress> sorted;
  sorted.reserve(addresses.size());
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) sorted.push_back(first[i]);
    if (i < second.size()) sorted.push_back(second[i]);
  }
  return sorted;
}

}  // namespace epore::internal
