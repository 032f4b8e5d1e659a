#ifndef EPORE_RUNTIME_INTERNAL_NET_COMPACT_ADDRESS_H_
#define EPORE_RUNTIME_INTERNAL_NET_COMPACT_ADDRESS_H_

#include <cstdint>

#include "epore/runtime/address.h"

namespace epore::internal {

// A SocketAddress in one word, for objects that are many: what is IPv4 fits, the rest is elsewhere.
//
//   bit 0 set:   IPv4, its address in bits 32 to 63, its port in bits 16 to 31 (as the network has
//                them)
//   0:           empty
//   otherwise:   a pointer to a SocketAddress of its own
class CompactAddress {
 public:
  explicit CompactAddress(const SocketAddress& address);
  ~CompactAddress();
  CompactAddress(const CompactAddress&) = delete;
  CompactAddress& operator=(const CompactAddress&) = delete;

  SocketAddress get() const;

 private:
  static_assert(sizeof(std::uintptr_t) == 8);

  std::uintptr_t word_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_COMPACT_ADDRESS_H_
