#ifndef EPORE_RUNTIME_INTERNAL_NET_COMPACT_ADDRESS_H_
#define EPORE_RUNTIME_INTERNAL_NET_COMPACT_ADDRESS_H_

#include <cstdint>

#include "epore/runtime/address.h"

namespace epore::internal {

// A CompactAddress holds a SocketAddress in one word. An IPv4 address fits in, and so does that of
// a Unix socket without a name; any other address is on the heap, in as many bytes as it needs.
//
//   | word      | meaning                                                                      |
//   |-----------|------------------------------------------------------------------------------|
//   | bit 0 set | IPv4: the address in bits 32 to 63, the port in bits 16 to 31, network order |
//   | 0         | an empty address                                                             |
//   | 2         | a Unix socket without a name                                                 |
//   | otherwise | a pointer to the size (32 bits) and the sockaddr                             |
class CompactAddress {
 public:
  explicit CompactAddress(const SocketAddress& address);
  ~CompactAddress();
  CompactAddress(const CompactAddress&) = delete;
  CompactAddress& operator=(const CompactAddress&) = delete;

  SocketAddress get() const;

 private:
  static_assert(sizeof(std::uintptr_t) == 8);

  bool is_on_heap() const;

  std::uintptr_t word_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_COMPACT_ADDRESS_H_
