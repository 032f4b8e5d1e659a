#include "epore/runtime/internal/datagram/error_queue.h"

#include <netinet/in.h>
#include <sys/socket.h>
// This one uses what those declare.
#include <linux/errqueue.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace epore::internal {
namespace {

// Room for a sock_extended_err and the address of the router that has reported it.
struct alignas(cmsghdr) Control {
  std::array<std::byte, 256> bytes;
};

bool is_error(const cmsghdr& header) {
  return (header.cmsg_level == IPPROTO_IP && header.cmsg_type == IP_RECVERR) ||
         (header.cmsg_level == IPPROTO_IPV6 && header.cmsg_type == IPV6_RECVERR);
}

}  // namespace

std::optional<PeerError> take_error(Kernel& kernel, int fd) {
  while (true) {
    sockaddr_storage peer;
    Control control;
    msghdr message = {};  // without the bytes of the datagram
    message.msg_name = &peer;
    message.msg_namelen = sizeof peer;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    if (!kernel.recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT).ok()) return std::nullopt;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (!is_error(*c)) continue;
      sock_extended_err error;
      std::memcpy(&error, CMSG_DATA(c), sizeof error);
      // A local error is also what the send has failed with.
      if (error.ee_origin != SO_EE_ORIGIN_ICMP && error.ee_origin != SO_EE_ORIGIN_ICMP6) continue;
      const auto* const name = reinterpret_cast<const sockaddr*>(&peer);
      return PeerError{SocketAddress::from_sockaddr(name, message.msg_namelen),
                       static_cast<int>(error.ee_errno)};
    }
  }
}

}  // namespace epore::internal
