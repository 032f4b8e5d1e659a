#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_OPEN_UDP_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_OPEN_UDP_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/net/socket_file.h"
#include "epore/runtime/udp.h"

namespace epore::internal {

// Of <linux/udp.h>, which some systems have without them.
inline constexpr int kUdpSegment = 103;
inline constexpr int kUdpGro = 104;

struct OpenUdp {
  OwnedFd fd;
  std::unique_ptr<SocketFile> file;  // of a Unix socket with a path; goes before `fd`
  SocketAddress address;
  bool has_gso = false;
  bool has_gro = false;
};

// Opens a socket as Runtime::udp() says.
absl::StatusOr<OpenUdp> open_udp(Kernel& kernel, std::string_view address,
                                 const UdpOptions& options);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_OPEN_UDP_H_
