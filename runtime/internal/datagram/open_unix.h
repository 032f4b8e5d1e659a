#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_OPEN_UNIX_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_OPEN_UNIX_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/datagram/open_udp.h"
#include "epore/runtime/udp.h"

namespace epore::internal {

// Opens a socket as Runtime::unix_datagram() says.
absl::StatusOr<OpenUdp> open_unix(Kernel& kernel, std::string_view address,
                                  const UdpOptions& options);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_OPEN_UNIX_H_
