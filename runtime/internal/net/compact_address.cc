#include "epore/runtime/internal/net/compact_address.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace epore::internal {
namespace {

constexpr std::uintptr_t kIpv4 = 1;
constexpr std::uintptr_t kUnnamed = 2;

constexpr sockaddr kUnnamedUnix = {.sa_family = AF_UNIX, .sa_data = {}};

}  // namespace

CompactAddress::CompactAddress(const SocketAddress& address) {
  if (address.is_ipv4()) {
    sockaddr_in v4;
    std::memcpy(&v4, address.data(), sizeof v4);
    word_ = std::uintptr_t{v4.sin_addr.s_addr} << 32 | std::uintptr_t{v4.sin_port} << 16 | kIpv4;
  } else if (address.is_unix() && address.size() == sizeof(sa_family_t)) {
    word_ = kUnnamed;
  } else if (!address.is_empty()) {
    const std::uint32_t size = address.size();
    auto* const block = static_cast<std::byte*>(::operator new(sizeof size + size));
    std::memcpy(block, &size, sizeof size);
    std::memcpy(block + sizeof size, address.data(), size);
    word_ = reinterpret_cast<std::uintptr_t>(block);
  }
}

CompactAddress::~CompactAddress() {
  if (is_on_heap()) ::operator delete(reinterpret_cast<void*>(word_));
}

bool CompactAddress::is_on_heap() const { return (word_ & kIpv4) == 0 && word_ > kUnnamed; }

SocketAddress CompactAddress::get() const {
  if (word_ == 0) return SocketAddress();
  if (word_ == kUnnamed) return SocketAddress::from_sockaddr(&kUnnamedUnix, sizeof(sa_family_t));
  if (is_on_heap()) {
    const auto* const block = reinterpret_cast<const std::byte*>(word_);
    std::uint32_t size = 0;
    std::memcpy(&size, block, sizeof size);
    return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(block + sizeof size),
                                        size);
  }
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = static_cast<std::uint32_t>(word_ >> 32);
  v4.sin_port = static_cast<std::uint16_t>(word_ >> 16);
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}

}  // namespace epore::internal
