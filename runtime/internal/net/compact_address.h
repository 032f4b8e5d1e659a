#ifndef EPORE_RUNTIME_INTERNAL_NET_COMPACT_ADDRESS_H_
#define EPORE_RUNTIME_INTERNAL_NET_COMPACT_ADDRESS_H_

#include <cstdint>

#include "epore/runtime/address.h"

namespace epore::internal {

// A CompactAddress holds a SocketAddress in one word. An IPv4 address fits in; any other address
// has a SocketAddress on the heap.
//
//   | word      | meaning                                                                      |
//   |-----------|------------------------------------------------------------------------------|
//   | bit 0 set | IPv4: the address in bits 32 to 63, the port in bits 16 to 31, network order |
//   | 0         | an empty address                                                             |
//   | otherwise | a pointer to the SocketAddress                                               |
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
