#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_MULTICAST_GROUP_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_MULTICAST_GROUP_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/address.h"

namespace epore::internal {

enum class Membership : bool { join, leave };

// A MulticastGroup is a group that a UDP socket joins or leaves, as UdpSocket::join() and
// join_source() say.
class MulticastGroup {
 public:
  // `call` is the name in errors, "UdpSocket::join". An empty `source` means all sources.
  MulticastGroup(std::string_view call, const SocketAddress& group, const SocketAddress& source,
                 unsigned interface);

  // Whether a socket with the address `local` can join it.
  absl::Status check(const SocketAddress& local) const;

  // Makes the system call. Throws std::bad_alloc.
  absl::Status change(Kernel& kernel, int fd, Membership membership) const;

 private:
  std::string text() const;

  const std::string_view call_;
  const SocketAddress group_;
  const SocketAddress source_;
  const unsigned interface_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_MULTICAST_GROUP_H_
