#include "epore/runtime/internal/net/compact_address.h"

#include <netinet/in.h>

#include <cstdint>
#include <cstring>

namespace epore::internal {
namespace {

constexpr std::uintptr_t kIpv4 = 1;

}  // namespace

CompactAddress::CompactAddress(const SocketAddress& address) {
  if (address.is_ipv4()) {
    sockaddr_in v4;
    std::memcpy(&v4, address.data(), sizeof v4);
    word_ = std::uintptr_t{v4.sin_addr.s_addr} << 32 | std::uintptr_t{v4.sin_port} << 16 | kIpv4;
  } else if (!address.is_empty()) {
    word_ = reinterpret_cast<std::uintptr_t>(new SocketAddress(address));
  }
}

CompactAddress::~CompactAddress() {
  if ((word_ & kIpv4) == 0) delete reinterpret_cast<SocketAddress*>(word_);
}

SocketAddress CompactAddress::get() const {
  if (word_ == 0) return SocketAddress();
  if ((word_ & kIpv4) == 0) return *reinterpret_cast<SocketAddress*>(word_);
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = static_cast<std::uint32_t>(word_ >> 32);
  v4.sin_port = static_cast<std::uint16_t>(word_ >> 16);
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}

}  // namespace epore::internal
